"""Spec of an endpoint's service level objectives (SLOs)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slo:
    """Service level objectives of an endpoint, judged over four weeks; the scorecard says which are kept.

    95 and 99 of 100 requests are answered within ``p95_ms`` and ``p99_ms`` milliseconds; at most ``errors`` (a share
    of the requests, 0..1) fail by the server's or the model's fault; the endpoint is ready for at least ``uptime`` (a
    share of the time, 0..1).
    """

    p95_ms: float = 50
    p99_ms: float = 100
    errors: float = 0.001
    uptime: float = 0.999
