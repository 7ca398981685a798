"""Prometheus text format without a library: headers of metrics, and histograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal


def head(name: str, kind: Literal["counter", "gauge", "histogram"], meaning: str) -> Iterator[str]:
    """Write what stands above a metric's series: what it means, in one line of text, and its type."""
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def lines(name: str, labels: str, bounds: Sequence[float], counts: Sequence[int], summed: float) -> Iterator[str]:
    """Write a histogram under its labels (``a="b",c="d"``).

    ``counts`` are of what lies up to each bound and above the one before; the last one is of what lies above all.
    """
    total = 0
    for bound, count in zip((*bounds, "+Inf"), counts, strict=True):
        total += count
        yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
    yield f"{name}_sum{{{labels}}} {summed:.9f}"
    yield f"{name}_count{{{labels}}} {total}"
