"""How a landing is judged by those before it: bounds that a few odd landings do not move.

A bound is the median of the last landings, give or take ``WIDE`` robust deviations (1.4826 times the median distance
from the median: the standard deviation, were the landings normal), and never closer than a floor:

- ``volume``: rows an arrival, on a scale of ratios; from half to double the median is always fine.
- ``nulls``: the share of nulls of a column, upwards; 0.02 more, and what chance does to so many rows, is always fine.
- ``ranges``: the median of a column (one odd row moves a mean), where half the distance between the quartiles is always
  fine, and what chance does to so many rows; and its extremes, which may lie outside those of the history by nine times
  their distance: new records happen, an order of magnitude does not.
- ``categories``: the share of values that the history has not seen, where a column has few; 0.01 and what chance does
  is always fine, and double what any landing of the history brought that no other one did.
- ``freshness``: how old the newest event was when it landed; and how old it is now, by the ages that there were just
  before the next landing came. Double the median is always fine, half the time between landings and a minute.

Fewer than ``ENOUGH`` landings judge nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from statistics import median

from loopline.platform_core.ingestion.landing_profile import FEW_CATEGORIES, ColumnProfile, Landing

ENOUGH, LAST = 8, 30
"""Landings that are needed before anything is judged, and how many of the newest count."""
WIDE = 5.0
DOUBLE, NULL_SHARE, UNSEEN_SHARE, TENFOLD = math.log(2), 0.02, 0.01, 9.0
HOUR = 3600.0
CHECKS = ("volume", "nulls", "ranges", "categories", "freshness")


@dataclass(frozen=True)
class Finding:
    """A figure of a landing (of one column, or of all), the bounds it should keep, and how many landings gave them."""

    check: str
    column: str
    what: str
    value: float
    low: float | None
    high: float | None
    history: int

    @property
    def passed(self) -> bool:
        """Say whether the figure is within its bounds."""
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def name(self) -> str:
        """Name the figure, without what it is."""
        return f"{self.column}: {self.what}" if self.column else self.what

    def __str__(self) -> str:
        """Write it as one line."""
        ends = ["-∞" if self.low is None else f"{self.low:.4g}", "∞" if self.high is None else f"{self.high:.4g}"]
        name = f"{self.column}: " if self.column else ""
        return f"{name}{self.what} {self.value:.4g}, usually {ends[0]} to {ends[1]} ({self.history} landings)"


def judge(landings: Sequence[Landing], now: datetime) -> list[Finding]:
    """Judge the newest of some landings, oldest first, by at most ``LAST`` before it; too few judge nothing."""
    before, last = landings[-LAST - 1 : -1], landings[-1]
    found = list(_freshness(landings[-LAST - 1 :], now))
    if len(before) < ENOUGH:
        return found
    found.append(_volume(before, last))
    for name, column in last.columns.items():
        known = [(landing, landing.columns[name]) for landing in before if name in landing.columns and landing.rows]
        if len(known) >= ENOUGH and last.rows:
            found += _column(name, known, last, column)
    return found


Known = Sequence[tuple[Landing, ColumnProfile]]


def _column(name: str, known: Known, last: Landing, column: ColumnProfile) -> Iterator[Finding]:
    yield _nulls(name, known, last, column)
    yield from _middle(name, known, last, column)
    yield from _extremes(name, known, column)
    yield from _unseen(name, known, column)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and how far from it is far."""
    middle = median(values)
    return middle, WIDE * 1.4826 * median(abs(value - middle) for value in values)


def _volume(before: Sequence[Landing], last: Landing) -> Finding:
    middle, spread = _spread([math.log1p(landing.rows / landing.arrivals) for landing in before])
    far = max(spread, DOUBLE)
    low, high = math.expm1(max(middle - far, 0.0)), math.expm1(middle + far)
    return Finding("volume", "", "rows an arrival", last.rows / last.arrivals, low, high, len(before))


def _nulls(name: str, known: Known, last: Landing, column: ColumnProfile) -> Finding:
    middle, spread = _spread([each.nulls / landing.rows for landing, each in known])
    expected = max(middle, 1 / last.rows)
    chance = WIDE * math.sqrt(expected * max(1 - expected, 0.0) / last.rows)
    high = min(middle + max(spread, NULL_SHARE, chance), 1.0)
    return Finding("nulls", name, "share of nulls", column.nulls / last.rows, None, high, len(known))


def _middle(name: str, known: Known, last: Landing, column: ColumnProfile) -> Iterator[Finding]:
    found = [
        (c.middle, c.high - c.low)
        for _, c in known
        if c.low is not None and c.middle is not None and c.high is not None
    ]
    if column.middle is None or len(found) < ENOUGH:
        return
    middle, spread = _spread([each for each, _ in found])
    between = median(width for _, width in found)
    chance = WIDE * 1.2533 * between / 1.349 / math.sqrt(last.rows - column.nulls)
    far = max(spread, chance, between / 2, 1e-9 * abs(middle))
    yield Finding("ranges", name, "median", column.middle, middle - far, middle + far, len(found))


def _extremes(name: str, known: Known, column: ColumnProfile) -> Iterator[Finding]:
    lows = [each.minimum for _, each in known if each.minimum is not None]
    highs = [each.maximum for _, each in known if each.maximum is not None]
    if column.minimum is None or column.maximum is None or len(lows) < ENOUGH:
        return
    low, high = min(lows), max(highs)
    far = TENFOLD * ((high - low) or max(abs(high), 1.0))
    yield Finding("ranges", name, "minimum", column.minimum, low - far, None, len(lows))
    yield Finding("ranges", name, "maximum", column.maximum, None, high + far, len(lows))


def _unseen(name: str, known: Known, column: ColumnProfile) -> Iterator[Finding]:
    before = [each.categories for _, each in known]
    counted = [categories for categories in before if categories]
    landings = Counter(category for categories in counted for category in categories)
    few = None not in before and len(landings) <= FEW_CATEGORIES
    if not column.categories or not few or len(counted) < ENOUGH:
        return
    own = max(_share(each, lambda category: landings[category] == 1) for each in counted)
    share = _share(column.categories, lambda category: category not in landings)
    values = sum(column.categories.values())
    chance = UNSEEN_SHARE + WIDE * math.sqrt(UNSEEN_SHARE / values) + 1 / values
    yield Finding(
        "categories", name, "share of unseen values", share, None, min(max(chance, 2 * own), 1.0), len(counted)
    )


def _share(categories: Mapping[str, int], which: Callable[[str], bool]) -> float:
    return sum(count for category, count in categories.items() if which(category)) / sum(categories.values())


def _freshness(landings: Sequence[Landing], now: datetime) -> Iterator[Finding]:
    later: Callable[[datetime | None, datetime | None], datetime | None] = _later
    newest = list(accumulate((landing.newest for landing in landings), later))
    known = [(landing.landed_at, at) for landing, at in zip(landings, newest, strict=True) if at is not None]
    if len(known) <= ENOUGH:
        return
    then = [_hours(landed_at, at) for landed_at, at in known]
    between = median(_hours(one, other) for (other, _), (one, _) in pairwise(known))
    ages = [_hours(landed_at, at) for (_, at), (landed_at, _) in pairwise(known)]
    yield _age("hours from the newest event to its landing", then[-1], then[:-1], between)
    yield _age("hours since the newest event", _hours(now, known[-1][1]), ages, between)


def _age(what: str, hours: float, usually: Sequence[float], between: float) -> Finding:
    middle, spread = _spread(usually)
    return Finding("freshness", "", what, hours, None, middle + max(spread, middle, between / 2, 1 / 60), len(usually))


def _hours(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds() / HOUR


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
