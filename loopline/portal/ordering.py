"""Lists in the order that a reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def ordered(rows: Sequence[T], value: Callable[[T], Any], descending: bool) -> list[T]:
    """Sort rows by a value; those without one come last in both directions."""
    with_value = sorted((row for row in rows if value(row) is not None), key=value, reverse=descending)
    return [*with_value, *(row for row in rows if value(row) is None)]
