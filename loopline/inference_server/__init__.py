"""Inference server process: assembles the application from an environment file."""
