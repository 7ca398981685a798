"""Vendors that live in the calling process."""
