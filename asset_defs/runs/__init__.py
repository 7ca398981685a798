"""Runs of Dagster: asked about, counted, forgotten, and which cycle each belongs to."""
