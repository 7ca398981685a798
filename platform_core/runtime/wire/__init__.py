"""Bytes in and out: HTTP connections, the Open Inference Protocol, and the fast path of plain requests."""
