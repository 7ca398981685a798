"""How far estimates of quality are from what is realised."""
