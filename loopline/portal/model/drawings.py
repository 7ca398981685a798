"""Plots that a kind of models draws of its rows, laid out for a model's page: curves, grids, cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.rollouts.quality_entries import DRAWN
from loopline.platform_core.targets import drawing
from loopline.platform_core.targets.drawing import Cards, Curve, Dot, Grid, Plot
from loopline.portal import axis
from loopline.portal.axis import Tick
from loopline.portal.filters import valued
from loopline.portal.picture import COLOURS, SIDE, Stroke

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.portal.page_request import Portal

DARKEST = 9
"""Shades of a grid's cells, from 0."""


@dataclass(frozen=True)
class DrawnPart:
    """Drawings of a version: ``live`` ones of its newest labelled answers, else of its own test rows."""

    version: str
    live: bool
    drawings: list[Plot | Grid | Cards]


@dataclass(frozen=True)
class PlotPicture:
    """Where a plot's strokes and ticks lie; ``said`` tells its last values to who does not see it."""

    strokes: list[Stroke]
    x: list[Tick]
    y: list[Tick]
    margin: int
    said: str


def read(portal: Portal, ref: ModelRef) -> DrawnPart | None:
    """Read what was drawn last: of live answers if there is such, else of the newest version; None for nothing."""
    for kind in (DRAWN, REGISTERED):
        for entry in portal.platform.ledger.entries(ref, [kind], limit=1, newest_first=True):
            if found := drawing.from_json(entry.details.get("drawings", ())):
                return DrawnPart(entry.version, kind == DRAWN, found)
    return None


def drawn(plot: Plot) -> PlotPicture | None:
    """Lay a plot out; None while it has no value."""
    dots = [dot for curve in plot.curves for dot in curve.dots]
    values = [value for dot in dots for value in (dot.y, dot.low, dot.high) if value is not None]
    if not values:
        return None
    left, right, across = axis.values([dot.x for dot in dots], None, _written)
    bottom, top, y = axis.values(values, None, _written)
    field = _Field(left, right, bottom, top)
    return PlotPicture(
        strokes=[_stroke(curve, place, field) for place, curve in enumerate(plot.curves)],
        x=[Tick(round(100 - tick.place, 2), tick.label) for tick in reversed(across)],
        y=y,
        margin=10 + 7 * max(len(tick.label) for tick in y),
        said="; ".join(_last(curve) for curve in plot.curves if curve.dots),
    )


def shade(value: float, grid: Grid) -> int:
    """Return how dark a grid's cell is, 0 to ``DARKEST``."""
    most = max((each for row in grid.values for each in row), default=0.0)
    return round(DARKEST * max(0.0, value) / most) if most > 0 else 0


@dataclass(frozen=True)
class _Field:
    left: float
    right: float
    bottom: float
    top: float

    def point(self, x: float, y: float) -> str:
        across = (x - self.left) / (self.right - self.left)
        return f"{across * SIDE:.0f} {(1 - (y - self.bottom) / (self.top - self.bottom)) * SIDE:.0f}"


def _stroke(curve: Curve, place: int, field: _Field) -> Stroke:
    known = [(dot.x, dot.y) for dot in curve.dots if dot.y is not None]
    return Stroke(
        name=curve.name,
        style="line" if curve.style == "dots" else curve.style,
        colour=0 if curve.style == "bound" else place % COLOURS + 1,
        path="" if curve.style == "dots" else _path(curve.dots, field),
        band=_band(curve.dots, field),
        dots="".join(f"M{field.point(*at)}h0" for at in known) if curve.style == "dots" else "",
    )


def _path(dots: Sequence[Dot], field: _Field) -> str:
    drawn, pen = "", "M"
    for dot in dots:
        drawn += f"{pen}{field.point(dot.x, dot.y)}" if dot.y is not None else ""
        pen = "M" if dot.y is None else "L"
    return drawn


def _band(dots: Sequence[Dot], field: _Field) -> str:
    known = [(dot.x, dot.low, dot.high) for dot in dots if dot.low is not None and dot.high is not None]
    there = [field.point(x, high) for x, _, high in known]
    back = [field.point(x, low) for x, low, _ in reversed(known)]
    return f"M{'L'.join([*there, *back])}Z" if len(known) > 1 else ""


def _last(curve: Curve) -> str:
    dot = curve.dots[-1]
    return f"{curve.name}: {_written(dot.y)} at {_written(dot.x)}"


def _written(value: float | None) -> str:
    return valued(value, "")
