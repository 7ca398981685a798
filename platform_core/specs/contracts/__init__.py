"""Contracts of sources: ODCS files as columns and rules, what a change of them breaks, personal columns, residency."""
