"""Ledger entries of a version's lifetime quality, as the quality monitor writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.platform_core.targets import known

REALISED = "quality.realised"
"""Kind of the entry that holds a version's figures, written when they change."""

DRAWN = "quality.drawn"
"""Kind of the entry that holds what a version's kind draws of its newest labelled rows, written when that changes."""


def metrics(details: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the metrics among an entry's figures: those that some kind of models tells of a version's whole life."""
    told = {name for kind in known() for name in kind.of_life}
    return {name: value for name, value in details.items() if name in told}
