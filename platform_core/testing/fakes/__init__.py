"""In-memory fakes of vendors that pass the kits; for tests only."""
