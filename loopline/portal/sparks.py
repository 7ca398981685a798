"""Sparklines: small SVG lines beside figures."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 100.0, 24.0, 2.0


def spark(values: Sequence[float | None]) -> str:
    """Return the points of a line through values, for ``<polyline points>`` in a box of 100 by 24; "" for too few."""
    known = [value for value in values if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - one point is no line
        return ""
    low, high = min(known), max(known)
    span, step = (high - low) or 1.0, WIDTH / max(len(values) - 1, 1)
    middle = 0.5 if high == low else 0.0
    heights = [None if v is None else (v - low) / span + middle for v in values]
    return " ".join(
        f"{place * step:.1f},{HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN):.1f}"
        for place, height in enumerate(heights)
        if height is not None
    )
