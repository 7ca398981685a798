"""Ingestion: arrivals land as raw rows, or become dead letters."""
