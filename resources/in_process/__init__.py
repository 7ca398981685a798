"""The calling process: compute."""
