"""Dagster runs: queries, quota, cleanup, and the cycle that each belongs to."""
