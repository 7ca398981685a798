"""Dagster's processes as Kubernetes pods, which share PostgreSQL and no disk."""

WORKSPACE = "/etc/loopline-workspace/workspace.yaml"
"""Where the chart puts Dagster's file of code locations."""
