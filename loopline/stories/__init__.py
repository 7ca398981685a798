"""Synthetic shops with a history, for tests and benchmarks; not in the distribution."""
