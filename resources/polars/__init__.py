"""Polars: tables in memory on one machine."""
