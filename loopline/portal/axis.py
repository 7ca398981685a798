"""Chart axes: limits and ticks for values and times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

TICKS = 7
"""Times at most; values are fewer."""
INTERVALS = 4
"""Of values, about."""
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_STEPS = [timedelta(minutes=n) for n in (1, 5, 15, 30, 60, 180, 360, 720)] + [timedelta(days=n) for n in (1, 2, 7, 14)]
_MONTHS = (1, 2, 3, 6)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Tick:
    """A word at an axis, in percent from the left, or from the top."""

    place: float
    label: str


def milliseconds(at: datetime) -> int:
    """Return an instant as browsers count."""
    return round(at.timestamp() * 1000)


def values(
    figures: Sequence[float], low: float | None, written: Callable[[float], str]
) -> tuple[float, float, list[Tick]]:
    """Return bottom, top and ticks around values; ``low`` is where the axis begins unless a value lies below."""
    least, most = min([*figures, *([] if low is None else [low])]), max(figures)
    if least == most:
        least, most = (
            (least, least + 1) if low is not None else (least - abs(least) / 10 - 0.1, most + abs(most) / 10 + 0.1)
        )
    step = _round_up((most - least) / INTERVALS)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    bottom, top = first * step, last * step
    ticks = [Tick(round((last - n) / (last - first) * 100, 2), written(n * step)) for n in range(last, first - 1, -1)]
    return bottom, top, ticks


def times(instants: Sequence[datetime]) -> tuple[datetime, datetime, list[Tick]]:
    """Return begin, end and ticks around instants, in UTC."""
    since, until = min(instants).astimezone(UTC), max(instants).astimezone(UTC)
    if since == until:
        since, until = since - timedelta(hours=12), until + timedelta(hours=12)
    ticks = [
        Tick(round((at - since) / (until - since) * 100, 2), label)
        for at, label in _calendar(since, until)
        if at >= since
    ]
    return since, until, ticks


def _round_up(value: float) -> float:
    size: float = 10.0 ** math.floor(math.log10(value))
    return next(n for n in _ROUND if n * size >= value * (1 - 1e-9)) * size


def _calendar(since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
    for step in _STEPS:
        if (until - since) / step <= TICKS:
            yield from _steps(since, until, step)
            return
    months = (until.year - since.year) * 12 + until.month - since.month
    yield from _months(
        since, until, next((n for n in _MONTHS if months / n <= TICKS), 12 * math.ceil(months / 12 / TICKS))
    )


def _steps(since: datetime, until: datetime, step: timedelta) -> Iterator[tuple[datetime, str]]:
    at = _MONDAY + math.ceil((since - _MONDAY) / step) * step
    while at <= until:
        yield at, f"{at:%H:%M}" if at.hour or at.minute else f"{at.day} {at:%b}"
        at += step


def _months(since: datetime, until: datetime, step: int) -> Iterator[tuple[datetime, str]]:
    month = math.ceil((since.year * 12 + since.month - 1) / step) * step
    while (at := datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) <= until:
        yield at, f"{at.year}" if step % 12 == 0 else f"{at:%b %Y}"
        month += step
