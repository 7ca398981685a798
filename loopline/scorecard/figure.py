"""Figure of the scorecard: a number with its unit, case count and formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

ORGANISATION = ""
"""The scope of all teams together; others are a team's name, or ``team/model``."""


@dataclass(frozen=True)
class Figure:
    """A figure as it was at an instant of the platform's clock.

    ``value`` is None where there is nothing to compute it from, and ``reason`` says why. ``count`` is how many cases
    (rollouts, requests, ...) it rests on.
    """

    name: str
    scope: str
    value: float | None
    unit: str
    count: int
    how: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True)
class Measure:
    """What a computation gave: a value with its cases, or None with the reason; ``unit`` where it is not the usual."""

    value: float | None
    count: int
    reason: str = ""
    unit: str = ""
