"""Sensors and schedules: what starts a run, and when."""
