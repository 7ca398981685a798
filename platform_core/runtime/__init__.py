"""The inference server, light enough for its own image."""
