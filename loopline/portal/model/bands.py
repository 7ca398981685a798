"""Reliability diagram of a model: mean label against mean prediction, by bands of similar predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.monitor.quality.quality_figures import LABEL, READING, is_band
from loopline.portal import axis
from loopline.portal.axis import Tick
from loopline.portal.filters import valued
from loopline.portal.picture import SIDE

if TYPE_CHECKING:
    from loopline.platform_core.monitor.quality.quality_figures import Measured


@dataclass(frozen=True)
class BandRow:
    """A band: its mean prediction, the mean label with its 95 % interval, and how many rows it has."""

    predicted: float
    real: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class BandsPart:
    """The bands of a version's newest window whose labels have come, the smallest predictions first."""

    version: str
    since: datetime
    until: datetime
    unit: str
    bands: list[BandRow]


@dataclass(frozen=True)
class BandsPicture:
    """Where bands lie: ``dots`` at (predicted, real), ``bars`` over the intervals; on the diagonal both are alike."""

    dots: str
    bars: str
    x: list[Tick]
    y: list[Tick]
    margin: int
    said: str


def newest(rows: Sequence[Measured], unit: str) -> BandsPart | None:
    """Return the bands of the newest window that has some."""
    found = [row for row in rows if is_band(row.segment)]
    if not found:
        return None
    last = max(found, key=lambda row: (row.since, row.version))
    own = {(r.segment, r.metric): r for r in found if (r.since, r.version) == (last.since, last.version)}
    pairs = ((own[s, READING], real) for (s, metric), real in own.items() if metric == LABEL and (s, READING) in own)
    bands = [BandRow(said.value, real.value, real.low, real.high, real.labelled) for said, real in pairs]
    return BandsPart(last.version, last.since, last.until, unit, sorted(bands, key=lambda band: band.predicted))


def drawn(part: BandsPart) -> BandsPicture:
    """Lay them out on two axes of the same limits."""
    values = [v for band in part.bands for v in (band.predicted, band.low, band.high)]
    bottom, top, y = axis.values(values, None, lambda value: valued(value, part.unit))
    plain = axis.values(values, None, lambda value: valued(value, ""))[2]

    def place(value: float) -> int:
        return round((value - bottom) / (top - bottom) * SIDE)

    x = [Tick(round(100 - tick.place, 2), tick.label) for tick in reversed(plain)]
    said = "; ".join(
        f"{valued(b.predicted, part.unit)} predicted, {valued(b.real, part.unit)} real" for b in part.bands
    )
    return BandsPicture(
        dots="".join(f"M{place(band.predicted)} {SIDE - place(band.real)}h0" for band in part.bands),
        bars="".join(_bar(band, place) for band in part.bands),
        x=x,
        y=y,
        margin=10 + 7 * max(len(tick.label) for tick in y),
        said=said,
    )


def _bar(band: BandRow, place: Callable[[float], int]) -> str:
    return f"M{place(band.predicted)} {SIDE - place(band.low)}V{SIDE - place(band.high)}"
