"""Metadata entries of numbers, one each, because Dagster plots only single numbers over time."""

import math
from collections.abc import Mapping
from typing import Any


def figures(named: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the figures of a mapping under their names; what is no number, or none that can be drawn, is left out."""
    return {f"{prefix}{name}": float(value) for name, value in named.items() if _is_drawn(value)}


def _is_drawn(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(version: str) -> int | str:
    """Return a version as the number it is, so that it is plotted; as it stands where it is none."""
    return int(version) if version.isdigit() else version
