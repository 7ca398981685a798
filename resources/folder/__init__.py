"""Files in a folder: event source, event stream, and anchors."""
