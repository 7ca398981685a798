"""Scoring without an endpoint: daily batches, streams, and export to edge devices."""
