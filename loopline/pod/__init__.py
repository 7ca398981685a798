"""Dagster's parts as pods of a cluster: one process each, which share PostgreSQL and no disk."""
