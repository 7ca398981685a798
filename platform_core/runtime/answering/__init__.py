"""The way of a request: its version, its features, its prediction, its answer."""
