"""Carries desired states to an inference server on its own disk, and its prediction log to where it is kept."""
