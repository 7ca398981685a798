"""Anomaly bounds of a landing's figures: prediction intervals from earlier landings.

What is usual are the landings before it, at most ``LAST``, without those that are doubted. One that brought a history
counts as its blocks, as long as the time between landings, as the drift monitor cuts its training set. A figure is
held against the figures of these whole landings and not against its rows one by one, for rows of a week depend on
each other: a promotion moves all prices at once. Its bound is the closer of two predictions of one more figure, by the
mean of those before and by the last one, as far as Student's t reaches at ``ALPHA`` shared among all figures of the
landing. It is never within what was seen, and never closer than a floor:

- ``volume``: rows an arrival, on a scale of ratios; a quarter less to double is always fine.
- ``nulls``: the share of nulls of a column, upwards; 0.05 more, and what chance does to so many rows, is always fine.
- ``ranges``: the quartiles of a column on a scale of ratios (a first promotion of a column that was always even is
  fine: 2.5 times, and half as much again as the quartiles lie apart); its extremes, where ten times is always fine;
  and whether two columns look like each other's past and unlike their own: they were swapped.
- ``categories``: the share of values that are new, where a column has few; ``UNSEEN_SHARE`` and what chance does is
  always fine, and double what any landing of the history brought that no other one did.
- ``freshness``: how old the newest event was when it landed; and how old it is now, by the ages that there were just
  before the next landing came. Double the mean is always fine, half the time between landings and a minute.

Fewer than ``ENOUGH`` judge nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate, combinations, pairwise
from statistics import NormalDist, fmean, median, stdev

from loopline.platform_core.ingestion.quality.landing_profile import FEW_CATEGORIES, ColumnProfile, Landing

ENOUGH, LAST = 8, 30
"""Landings that are needed before anything is judged, and how many of the newest count."""
ALPHA = 0.005
"""Chance that any figure of a right landing leaves its bound, shared among them."""
YOUNG = 16
"""Landings below which the volume has a quarter of that: with its share Student's t would reach beyond a third."""
CHANCE = 5.0
"""Standard errors by which chance alone may move a figure of the landing's rows."""
SWAPPED = 0.7
"""Distance of two columns from each other's past, to that from their own, below which they were swapped."""
NEAR = 3.0
"""What counts as like another column's past: within so many times the bound of one's own."""
LESS, DOUBLE, TEN = math.log(4 / 3), math.log(2), math.log(10)
FACTOR = math.log(2.5)
NULL_SHARE, UNSEEN_SHARE = 0.05, 0.06
HOUR = 3600.0
CHECKS = ("volume", "nulls", "ranges", "categories", "freshness")
OF_VALUES = frozenset({"nulls", "ranges", "categories"})
"""Checks of what stands in rows, which some of them show as well as all."""
AGE_NOW = "hours since the newest event"
"""The figure that is the source's at any time, and not its newest landing's."""
QUARTILES = ("low", "middle", "high")
NAMES = {"low": "lower quartile", "middle": "median", "high": "upper quartile"}


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
    """Judge the newest of some landings, oldest first, by those before it; too few judge nothing."""
    last, every = landings[-1], usual(landings)
    before, let_go = [one for one in every if not one.let_go], [one for one in every if one.let_go]
    found = [one for one in ages(landings, now) if one.what == AGE_NOW or not last.correction]
    if len(before) < ENOUGH:
        return found
    chance = ALPHA / (2 + 7 * len(last.columns))
    if not last.correction:
        found += _volume(before, let_go, last, chance)
    known = {name: _known(name, before) for name in last.columns}
    known = {name: those for name, those in known.items() if len(those) >= ENOUGH and last.rows}
    for name, those in known.items():
        found += _column(name, those, _known(name, let_go), last, chance)
    return [*found, *_swapped({name: [column for _, column in those] for name, those in known.items()}, last)]


def usual(landings: Sequence[Landing]) -> list[Landing]:
    """Return what the newest landing is held against, oldest first: landings, and blocks of those with a history."""
    *before, last = landings
    seconds = _step(before, last)
    return [one for landing in before for one in _parts(landing, seconds)][-LAST:]


def _step(before: Sequence[Landing], last: Landing) -> float:
    """Return how much later the newest event is than that of the landing before, in seconds; else how much there is."""
    earlier = max((one.newest for one in before if one.newest is not None), default=None)
    if last.newest is None or last.oldest is None:
        return 0.0
    later = 0.0 if earlier is None else (last.newest - earlier).total_seconds()
    return later if later > 0 else (last.newest - last.oldest).total_seconds()


def _parts(landing: Landing, seconds: float) -> Sequence[Landing]:
    fit = {length: abs(math.log(length / seconds)) for length in landing.blocks} if seconds > 0 else {}
    nearest = min(fit, key=lambda length: fit[length], default=0)
    return landing.blocks[nearest] if nearest and fit[nearest] < DOUBLE else [landing]


Known = Sequence[tuple[Landing, ColumnProfile]]


def _known(name: str, landings: Sequence[Landing]) -> Known:
    return [(one, one.columns[name]) for one in landings if name in one.columns and one.rows]


def _column(name: str, known: Known, let_go: Known, last: Landing, chance: float) -> Iterator[Finding]:
    yield _nulls(name, known, let_go, last, chance)
    yield from _quartiles(name, known, let_go, last, chance)
    yield from _extremes(name, known, let_go, last.columns[name], chance)
    yield from _unseen(name, [*known, *let_go], last.columns[name])


@lru_cache(maxsize=10_000)
def _student(chance: float, freedom: int) -> float:
    """Return what Student's t exceeds, of either sign, with so small a chance.

    Without SciPy, as ``metrics.intervals.student`` has it: a code server, which looks at landings, need not load it.
    Source: Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", 1959.
    """
    z = NormalDist().inv_cdf(1 - chance / 2) * (8 * freedom + 3) / (8 * freedom + 1)
    return math.sqrt(freedom * math.expm1(z * z / freedom))


def _predicted(values: Sequence[float], chance: float) -> tuple[float, float]:
    """Return what one more value is expected to be, and how far from it is far: by the mean, or by the last value."""
    count, mean, steps = len(values), fmean(values), [later - one for one, later in pairwise(values)]
    far = _student(chance, count - 1)
    of_mean = far * stdev(values) * math.sqrt(1 + 1 / count)
    of_last = far * math.sqrt(fmean(step * step for step in steps))
    return (mean, of_mean) if of_mean <= of_last else (values[-1], of_last)


def _bounds(
    values: Sequence[float], let_go: Sequence[float], chance: float, down: float, up: float
) -> tuple[float, float]:
    """Return the bounds of one more value: never closer to those seen, and to those let go, than so far down and up."""
    middle, far = _predicted(values, chance)
    low = min(middle - max(far, down), *values, *(value - down for value in let_go))
    return low, max(middle + max(far, up), *values, *(value + up for value in let_go))


def _volume(before: Sequence[Landing], let_go: Sequence[Landing], last: Landing, chance: float) -> Iterator[Finding]:
    """Yield rows an arrival; a block is as much as one arrival brings."""
    alike = [one for one in before if not one.correction and (last.arrivals == 1 or not one.block)]
    if len(alike) >= ENOUGH:
        values, more = ([math.log(max(one.rows, 1) / one.arrivals) for one in some] for some in (alike, let_go))
        share = ALPHA / 4 if len(alike) < YOUNG else chance
        low, high = _bounds(values, more, share, LESS, DOUBLE)
        value = last.rows / last.arrivals
        yield Finding("volume", "", "rows an arrival", value, math.exp(low), math.exp(high), len(alike))


def _nulls(name: str, known: Known, let_go: Known, last: Landing, chance: float) -> Finding:
    shares, more = ([each.nulls / landing.rows for landing, each in some] for some in (known, let_go))
    expected = max(fmean(shares), 1 / last.rows)
    by_chance = CHANCE * math.sqrt(expected * max(1 - expected, 0.0) / last.rows)
    _, high = _bounds(shares, more, chance, 0.0, max(NULL_SHARE, by_chance))
    value = last.columns[name].nulls / last.rows
    return Finding("nulls", name, "share of nulls", value, None, min(high, 1.0), len(known))


def _quartiles(name: str, known: Known, let_go: Known, last: Landing, chance: float) -> Iterator[Finding]:
    column = last.columns[name]
    described, more = ([each for _, each in some if each.middle is not None] for some in (known, let_go))
    if column.middle is None or len(described) < ENOUGH:
        return
    for figure in QUARTILES:
        value, values, others = getattr(column, figure), *([getattr(e, figure) for e in s] for s in (described, more))
        scale = _Scale.of([*values, *others, value], described)
        error = CHANCE * scale.apart / math.sqrt(max(last.rows - column.nulls, 1))
        floor = max(scale.floor + scale.apart / 2, error)
        low, high = _bounds([scale.to(each) for each in values], [scale.to(e) for e in others], chance, floor, floor)
        yield Finding("ranges", name, NAMES[figure], value, scale.back(low), scale.back(high), len(values))


@dataclass(frozen=True)
class _Scale:
    """Ratios for values of one sign, else multiples of how large the quartiles of a column usually are.

    ``apart`` is how far apart the quartiles usually lie, and ``floor`` what is always fine.
    """

    sign: float
    unit: float
    apart: float
    floor: float

    @classmethod
    def of(cls, values: Sequence[float], known: Sequence[ColumnProfile]) -> _Scale:
        lows, highs = median(each.low or 0.0 for each in known), median(each.high or 0.0 for each in known)
        sign = math.copysign(1.0, values[0])
        if all(value * sign > 0 for value in values):
            ends = sorted(abs(end) for end in (lows, highs))
            apart = math.log(ends[1] / ends[0]) if ends[0] > 0 and lows * highs > 0 else TEN / 2
            return cls(sign, 0.0, apart, FACTOR)
        unit = max(abs(lows), abs(highs), highs - lows) or max(map(abs, values)) or 1.0
        return cls(1.0, unit, (highs - lows) / unit, math.exp(FACTOR) - 1)

    def to(self, value: float) -> float:
        return value / self.unit if self.unit else self.sign * math.log(abs(value))

    def back(self, place: float) -> float:
        return place * self.unit if self.unit else self.sign * math.exp(min(place * self.sign, 700.0))


def _extremes(name: str, known: Known, let_go: Known, column: ColumnProfile, chance: float) -> Iterator[Finding]:
    ends = [(each.minimum, each.maximum) for _, each in known if each.minimum is not None and each.maximum is not None]
    if column.minimum is None or column.maximum is None or len(ends) < ENOUGH:
        return
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    more = [(each.minimum, each.maximum) for _, each in let_go if each.minimum is not None and each.maximum is not None]
    low = _extreme([-one for one in lows], [-one for one, _ in more], -max(highs), chance)
    high = _extreme(highs, [one for _, one in more], min(lows), chance)
    yield Finding("ranges", name, "minimum", column.minimum, -low, None, len(lows))
    yield Finding("ranges", name, "maximum", column.maximum, None, high, len(highs))


def _extreme(highs: Sequence[float], let_go: Sequence[float], least: float, chance: float) -> float:
    """Return what a maximum stays below: by ratios, or by the distance to the other end where it may be below 0."""
    highest = max(*highs, *let_go)
    if min(highs) > 0:
        _, far = _predicted([math.log(one) for one in highs], chance)
        return math.exp(min(max(far, TEN) + math.log(highest), 700))
    return highest + 9 * (max(max(highs) - least, abs(max(highs)), abs(least)) or 1.0)


def _unseen(name: str, known: Known, column: ColumnProfile) -> Iterator[Finding]:
    before = [each.categories for _, each in known]
    counted = [categories for categories in before if categories]
    landings = Counter(category for categories in counted for category in categories)
    if None in before or len(landings) > FEW_CATEGORIES or len(counted) < ENOUGH:
        return
    own = max(_share(each, lambda category: landings[category] == 1) for each in counted)
    if column.categories:
        share = _share(column.categories, lambda category: category not in landings)
        values = sum(column.categories.values())
    elif column.categories is None:  # there are too many to be counted
        share, values = max(1 - len(landings) / (FEW_CATEGORIES + 1), 0.0), FEW_CATEGORIES
    else:
        return
    chance = UNSEEN_SHARE + CHANCE * math.sqrt(UNSEEN_SHARE / values) + 1 / values
    high = min(max(chance, 2 * own), 1.0)
    yield Finding("categories", name, "share of unseen values", share, None, high, len(counted))


def _share(categories: Mapping[str, int], which: Callable[[str], bool]) -> float:
    return sum(count for category, count in categories.items() if which(category)) / sum(categories.values())


def _swapped(known: Mapping[str, Sequence[ColumnProfile]], last: Landing) -> Iterator[Finding]:
    """Yield pairs of columns that look like each other's past, and both unlike their own."""
    described = {name: [each for each in past if each.middle is not None] for name, past in known.items()}
    past = {
        name: each for name, each in described.items() if len(each) >= ENOUGH and last.columns[name].middle is not None
    }
    if len(past) < 2:  # noqa: PLR2004 - a pair
        return
    far = _student(ALPHA / len(past), ENOUGH)
    own = {name: _unlike(last.columns[name], past[name]) for name in past}
    for one, other in combinations(past, 2):
        if max(own[one], own[other]) > far:
            crossed = [_unlike(last.columns[one], past[other]), _unlike(last.columns[other], past[one])]
            like = sum(crossed) / (own[one] + own[other]) if max(crossed) < NEAR * far else 1.0
            names, what = f"{one}, {other}", "distance from each other's past, to that from their own"
            yield Finding("ranges", names, what, like, SWAPPED, None, len(past[one]))


def _unlike(column: ColumnProfile, past: Sequence[ColumnProfile]) -> float:
    """Return by how many standard deviations the farthest quartile or mean lies off those of the past."""
    figures = (*QUARTILES, "mean")
    every = {figure: [getattr(each, figure) for each in past] for figure in figures}
    least = max(0.01 * max(abs(value) for values in every.values() for value in values), 1e-9)
    off = {figure: abs(getattr(column, figure) - fmean(every[figure])) for figure in figures}
    return max(float(off[figure] / max(stdev(every[figure]), least)) for figure in figures)


def ages(landings: Sequence[Landing], now: datetime) -> Iterator[Finding]:
    """Yield how old the newest event was when it landed, and how old it is now, with their bounds."""
    landings = landings[-LAST - 1 :]
    later: Callable[[datetime | None, datetime | None], datetime | None] = _later
    newest = list(accumulate((landing.newest for landing in landings), later))
    known = [(landing.landed_at, at) for landing, at in zip(landings, newest, strict=True) if at is not None]
    if len(known) <= ENOUGH:
        return
    then = [_hours(landed_at, at) for landed_at, at in known]  # of a correction that is old, which is why it came
    between = median(_hours(one, other) for (other, _), (one, _) in pairwise(known))
    since = [_hours(landed_at, at) for (_, at), (landed_at, _) in pairwise(known)]
    yield _age("hours from the newest event to its landing", then[-1], then[:-1], between)
    yield _age(AGE_NOW, _hours(now, known[-1][1]), since, between)


def _age(what: str, hours: float, usually: Sequence[float], between: float) -> Finding:
    middle = fmean(usually)
    _, high = _bounds(usually, [], ALPHA / 2, 0.0, max(middle, between / 2, 1 / 60))
    return Finding("freshness", "", what, hours, None, high, len(usually))


def _hours(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds() / HOUR


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
