"""Drift bounds for dependent rows, from the spread of consecutive blocks of the training set.

Chance as if rows were independent is too little for shops that change their prices together, for seasons and for
bursts: there a week of training itself lies far from the whole. So blocks of training are measured as a window is.
Where they lie no farther off than rows drawn from anywhere, nothing is kept and chance alone decides, with all its
power. Where they do, a window has drifted only beyond what blocks of its length show.

Averaging over a longer block never adds to a distance, so a length of which there are too few blocks is held against
the longest one of which there are enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.metrics.intervals import student
from loopline.platform_core.monitor.drift.block_cuts import DAY, FEWEST_BLOCKS, HOUR, By, Cut
from loopline.platform_core.monitor.drift.rounds import Panel

TAIL = 0.1
"""Share of the blocks that tells how the far ones thin out."""
TAIL_BLOCKS = 20
"""Blocks from which on a tail can be seen; of fewer, their spread is taken for a normal's."""
LEAST_STANDARD_ERRORS = 3.0
"""Standard errors by which the mean of blocks must exceed that of rows drawn from anywhere."""


MISSING = "missing"
"""Measure of the share of a column's values that is missing."""


def measure_name(column: str, part: str = "") -> str:
    """Name a measure of a column among the spreads."""
    return f"{column}/{part}" if part else column


class Spread(msgspec.Struct, frozen=True):
    """How far blocks of one length lie from the whole, by one measure, beside as many rows drawn from anywhere.

    ``start`` is what a tenth of the ``blocks`` exceeds, by ``excess`` on average. ``rows`` are the mean measured
    rows of a block, ``whole`` the blocks that training has; ``chance`` and ``chance_spread`` are mean and deviation of
    the ``drawn`` ones.
    """

    by: By
    length: float
    blocks: int
    whole: int
    rows: float
    square: float
    mean: float
    start: float
    excess: float
    highest: float
    chance: float
    chance_spread: float
    drawn: int

    @property
    def dependent(self) -> bool:
        """Say whether blocks lie farther off than chance puts them."""
        error = self.chance_spread * math.sqrt(1 / self.blocks + 1 / self.drawn)
        return self.mean - self.chance > LEAST_STANDARD_ERRORS * max(error, 1e-6)

    def reach(self, chance: float) -> float:
        """Return what one more block exceeds with so small a chance, and none of these does.

        The whole was learnt from these blocks, and they lie closer to it than one more will.
        """
        further = math.sqrt((self.blocks + 1) / (self.blocks - 1))
        if self.blocks < TAIL_BLOCKS:
            far = student(1 - chance / 2, self.blocks) * math.sqrt(self.square)
        else:
            far = self.start + self.excess * math.log(TAIL / chance)
        return further * max(far, self.highest)

    def reach_at(self, chance: float, rows: int) -> float:
        """Return ``reach`` for a window of other size: chance's part of a distance shrinks with its rows."""
        part = self.chance**2 + self.chance_spread**2
        return math.sqrt(max(self.reach(chance) ** 2 + part * (self.rows / max(rows, 1) - 1), 0.0))

    @property
    def described(self) -> str:
        """Say how many blocks of which length there are."""
        length = f"{self.length:,.0f} rows" if self.by == "rows" else span(self.length)
        looked = f"{self.blocks} of {self.whole:,}" if self.blocks < self.whole else f"{self.blocks}"
        return f"{looked} blocks of {length}"


class Blocks(msgspec.Struct, frozen=True):
    """Spreads of the measures whose blocks depend, by name, each for several lengths; rows and span of training.

    Where the training set is a ``panel``, windows hold whole rounds of it as these blocks do.
    """

    rows: int
    seconds: float
    measures: dict[str, list[Spread]]
    panel: Panel | None = None

    def bound(self, measure: str, rows: int, seconds: float | None, chance: float) -> tuple[float, Spread] | None:
        """Return how far blocks as long as a window reach, by rows or time, and which; None: no farther than chance."""
        spreads = self.measures.get(measure, [])
        sides = [_between([s for s in spreads if s.by == "rows"], rows, rows, chance)]
        if seconds is not None:
            sides.append(_between([s for s in spreads if s.by == "seconds"], seconds, rows, chance))
        return max((side for side in sides if side), key=lambda side: side[0], default=None)

    def beyond(self, spread: Spread) -> str:
        """Say of a window beyond a spread what training never showed."""
        when = f" over {span(self.seconds)}" if self.seconds and spread.by == "rows" else ""
        return f"never so in {spread.described} of training{when}"

    def short(self, rows: int) -> str:
        """Say that training is too short to know what windows so long show; empty where it is not."""
        held = self.rows // max(rows, 1)
        return f"training holds only {held} windows of {rows:,} rows" if held < FEWEST_BLOCKS else ""


def by_draws(drawn: Sequence[tuple[int, float]]) -> tuple[float, float, int]:
    """Return mean and deviation of drawn scores, and how many there are; ``spread`` is given that."""
    _, found = _measured(drawn)
    return (float(found.mean()), float(found.std(ddof=1)), len(found)) if len(found) > 1 else (0.0, 0.0, 0)


def spread(cut: Cut, scores: Sequence[tuple[int, float]], chance: tuple[float, float, int]) -> Spread | None:
    """Sum up blocks' measured rows and scores beside those of drawn rows; None where too few have enough rows."""
    rows, found = _measured(scores)
    mean, deviation, drawn = chance
    if min(len(found), drawn) < FEWEST_BLOCKS:
        return None
    start = float(np.quantile(found, 1 - TAIL))
    beyond = found[found > start] - start
    return Spread(
        by=cut.by,
        length=cut.length,
        blocks=len(found),
        whole=round(cut.whole * len(found) / len(scores)),
        rows=float(rows.mean()),
        square=_short(np.mean(found**2)),
        mean=_short(found.mean()),
        start=_short(start),
        excess=_short(beyond.mean()) if len(beyond) else 0.0,
        highest=_short(found.max()),
        chance=_short(mean),
        chance_spread=_short(deviation),
        drawn=drawn,
    )


def dependent(
    rows: int, seconds: float, spreads: Iterable[tuple[str, Spread | None]], panel: Panel | None = None
) -> Blocks:
    """Keep the measures that depend at any length."""
    measures: dict[str, list[Spread]] = {}
    for name, one in spreads:
        if one is not None:
            measures.setdefault(name, []).append(one)
    kept = {name: each for name, each in measures.items() if any(one.dependent for one in each)}
    return Blocks(rows, seconds, kept, panel)


def span(seconds: float) -> str:
    """Say a stretch of time in its largest unit of which there are two."""
    for unit, name in ((7 * DAY, "week"), (DAY, "day"), (HOUR, "hour")):
        if seconds >= 2 * unit or (seconds >= unit and seconds % unit == 0):
            count = round(seconds / unit)
            return f"{count} {name}" + "s" * (count > 1)
    return f"{seconds:.0f} seconds"


def _between(spreads: Sequence[Spread], length: float, rows: int, chance: float) -> tuple[float, Spread] | None:
    """Read the reach at a length between those of two spreads; at the nearest one beyond the last ones."""
    if not spreads:
        return None
    near = min(spreads, key=lambda one: abs(math.log(one.length / max(length, 1e-9))))
    lengths = [math.log(one.length) for one in spreads]
    reaches = [one.reach_at(chance, rows) if one.dependent else 0.0 for one in spreads]
    reach = float(np.interp(math.log(max(length, 1e-9)), lengths, reaches))
    return (reach, near) if reach else None


def _measured(scores: Sequence[tuple[int, float]], least_rows: int = 30) -> tuple[Floats, Floats]:
    pairs = np.array([pair for pair in scores if pair[0] >= least_rows], dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _short(value: np.floating | float) -> float:
    return float(f"{value:.4g}")
