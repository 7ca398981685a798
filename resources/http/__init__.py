"""An API over HTTP that gives JSON."""
