"""Polars: engine."""
