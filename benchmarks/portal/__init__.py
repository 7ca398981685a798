"""How long the portal's pages take."""
