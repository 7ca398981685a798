"""Commands on an installation: set up, start, watch, extend."""
