"""Shared code of serving vendors on a cloud's managed endpoint service."""
