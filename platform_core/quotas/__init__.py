"""Quotas of an environment: limits storage and trainings, and reports usage.

Runs are held where Dagster takes them (``asset_defs.runs.run_quota``), requests and logs where a server answers.
"""
