"""The ledger's entries of how good a version turned out to be over its whole life; ``monitor`` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REALISED = "quality.realised"
"""Kind of the entry that holds a version's figures, written when they change."""
FIGURES = ("roc_auc", "recall")
"""Metrics of a version's whole life."""
RENAMED = {"auc": "roc_auc"}
"""What entries of before called a figure, and what it is called."""


def figures(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's figures by the names of today."""
    return {RENAMED.get(name, name): value for name, value in details.items()}
