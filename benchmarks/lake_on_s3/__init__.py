"""Appends to a lake on an object store, beside delta-rs alone."""
