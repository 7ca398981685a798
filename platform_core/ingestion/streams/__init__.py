"""Streams: records as rows, landed in micro-batches, exactly once."""
