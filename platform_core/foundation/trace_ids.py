"""Deterministic trace ids, derived from a cycle's id: any process can add to its trace."""

from __future__ import annotations

import hashlib


def of_cycle(cycle: str) -> str:
    """Return the ``traceparent`` of a cycle's first span."""
    digest = hashlib.sha256(f"loopline cycle {cycle}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"
