"""Dagster sensors and schedules: what starts a run, and when."""
