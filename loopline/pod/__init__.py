"""Dagster's parts as pods of a cluster: one process each, which share PostgreSQL and no disk."""

WORKSPACE = "/etc/loopline-workspace/workspace.yaml"
"""Where the chart puts Dagster's file of code locations."""
