"""In-memory vendors that pass the kits; for tests, not for service."""
