"""Builds the images of a release without Docker: ``python -m scripts.images``."""
