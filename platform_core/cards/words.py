"""Formatting of numbers, settings and times in cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def settings(values: Mapping[str, Any]) -> str:
    """Write settings by name; those that are not there are left out."""
    return ", ".join(f"{name} {number(value)}" for name, value in sorted(values.items()) if value is not None)


def number(value: Any) -> str:
    """Write a number to six digits, and anything else as it is."""
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def at(instant: datetime) -> str:
    """Write an instant."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
