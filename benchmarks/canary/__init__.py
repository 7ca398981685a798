"""How long it takes from drift that is known to a candidate that answers."""
