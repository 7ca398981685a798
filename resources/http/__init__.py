"""JSON APIs over HTTP: event source."""
