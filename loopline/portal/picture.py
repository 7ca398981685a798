"""SVG layout of charts: positions of lines, ticks and marks, for ``templates/picture.html``.

The field is a box of ``SIDE`` by ``SIDE`` that the browser stretches to the room there is; strokes keep their width.
Words stand beside it, placed in percent, so nothing is measured on the server and nothing is drawn by a script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from loopline.portal import axis
from loopline.portal.axis import Tick
from loopline.portal.filters import valued
from loopline.portal.page import Chart, Line, Mark, Point

SIDE = 1000
"""Units of the field's box, both ways."""
FEW = 60
"""So many points or fewer are shown one by one."""
COLOURS = 6
CUT_AT = 8
"""A picture with a bound ends at so many times of it: one spike does not press the bound to the ground."""


@dataclass(frozen=True)
class Stroke:
    """A line: ``path`` goes through its points, ``band`` around its intervals, ``dots`` marks each; "" for none.

    ``colour`` counts from 1, and is 0 for a bound.
    """

    name: str
    style: str
    colour: int
    path: str
    band: str
    dots: str


@dataclass(frozen=True)
class Moment:
    """A mark in percent from the left; ``end`` where its words stand left of it."""

    place: float
    label: str
    kind: str
    end: bool


@dataclass(frozen=True)
class Cut:
    """Where a line of a colour leaves the field, in percent from the left.

    ``side`` is 1 above and -1 below, ``value`` is how far it goes.
    """

    place: float
    side: int
    colour: int
    value: float


@dataclass(frozen=True)
class Picture:
    """What is drawn, the limits of the field (milliseconds of the epoch, values), and the newest values in words.

    ``cuts`` are where lines leave the field, ``farthest`` says how far they go, "" where none does.
    """

    strokes: list[Stroke]
    x: list[Tick]
    y: list[Tick]
    moments: list[Moment]
    cuts: list[Cut]
    farthest: str
    since: int
    until: int
    bottom: float
    top: float
    newest: str

    @property
    def margin(self) -> int:
        """Return how wide the words left of the field are (pixels)."""
        return 10 + 7 * max(len(tick.label) for tick in self.y)


@dataclass(frozen=True)
class _Field:
    since: datetime
    until: datetime
    bottom: float
    top: float

    def x(self, at: datetime) -> float:
        return (at - self.since) / (self.until - self.since)

    def side(self, value: float) -> int:
        return (value > self.top) - (value < self.bottom)

    def point(self, at: datetime, value: float) -> str:
        height = (max(self.bottom, min(value, self.top)) - self.bottom) / (self.top - self.bottom)
        return f"{self.x(at) * SIDE:.0f} {(1 - height) * SIDE:.0f}"


def drawn(chart: Chart) -> Picture | None:
    """Lay a chart out; None while no line has a value."""
    points = [point for line in chart.lines for point in line.points]
    values = [v for point in points for v in (point.value, point.low, point.high) if v is not None]
    if not values:
        return None
    since, until, x = axis.times([*(p.at for p in points), *(mark.at for mark in chart.marks)])
    least, most = _limits(chart)
    shown = [max(least, min(value, most)) for value in values]
    bottom, top, y = axis.values(shown, chart.y_from, lambda value: valued(value, chart.unit))
    field = _Field(since, until, bottom, top)
    strokes = [_stroke(line, place, field) for place, line in enumerate(chart.lines)]
    moments = [_moment(mark, field) for mark in chart.marks]
    cuts = _cuts(chart, field)
    farthest = valued(max((cut.value for cut in cuts), key=abs), chart.unit) if cuts else ""
    limits = (axis.milliseconds(since), axis.milliseconds(until), bottom, top)
    return Picture(strokes, x, y, moments, cuts, farthest, *limits, _newest(chart))


def _limits(chart: Chart) -> tuple[float, float]:
    """Return the least and the most that is drawn to scale."""
    bounds = [p.value for line in chart.lines if line.style == "bound" for p in line.points if p.value is not None]
    least, most = min(bounds, default=0.0) * CUT_AT, max(bounds, default=0.0) * CUT_AT
    return least if least < 0 else -math.inf, most if most > 0 else math.inf


def _cuts(chart: Chart, field: _Field) -> list[Cut]:
    """Mark each stretch of a line outside of the field once, where it is farthest."""
    found = []
    for place, line in enumerate(chart.lines):
        known = [(p.value, p.at) for p in line.points if p.value is not None]
        for side, stretch in groupby(known, lambda point: field.side(point[0])):
            if side:
                value, at = max(stretch, key=lambda point: abs(point[0]))
                found.append(Cut(round(field.x(at) * 100, 2), side, place % COLOURS + 1, value))
    return found


def _stroke(line: Line, place: int, field: _Field) -> Stroke:
    bound = line.style == "bound"
    dotted = not bound and len(line.points) <= FEW
    return Stroke(
        name=line.name,
        style=line.style,
        colour=0 if bound else place % COLOURS + 1,
        path=_path(line.points, field),
        band="" if bound else _band(line.points, field),
        dots="".join(f"M{field.point(p.at, p.value)}h0" for p in line.points if p.value is not None) if dotted else "",
    )


def _path(points: Iterable[Point], field: _Field) -> str:
    """Go through the points; where one has no value the line is broken."""
    drawn: list[str] = []
    pen = "M"
    for point in points:
        drawn += [f"{pen}{field.point(point.at, point.value)}"] if point.value is not None else []
        pen = "M" if point.value is None else "L"
    return "".join(drawn)


def _band(points: Sequence[Point], field: _Field) -> str:
    known = [(p.at, p.low, p.high) for p in points if p.low is not None and p.high is not None]
    there = [field.point(at, high) for at, _, high in known]
    back = [field.point(at, low) for at, low, _ in reversed(known)]
    return f"M{'L'.join([*there, *back])}Z" if len(known) > 1 else ""


def _moment(mark: Mark, field: _Field) -> Moment:
    place = field.x(mark.at) * 100
    return Moment(round(place, 2), mark.label, mark.kind, place > 60)  # noqa: PLR2004 - words need room


def _newest(chart: Chart) -> str:
    """Say the newest value of each line, for who does not see the picture."""
    newest = ((line.name, [p for p in line.points if p.value is not None][-1:]) for line in chart.lines)
    return "; ".join(
        f"{name}: {valued(points[0].value, chart.unit)} on {points[0].at:%Y-%m-%d %H:%M}"
        for name, points in newest
        if points
    )
