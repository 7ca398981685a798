"""Base class of pages: one typed object, rendered as HTML or JSON; charts and list slices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True)
class Page:
    """Everything that a page says, as plain fields: numbers, text, times, and dataclasses of those.

    A subclass is a frozen dataclass that names its ``template``. The template reads the object as ``page``; the JSON
    is the object itself, so what is not a field is in neither. Times have a zone; a ``Path`` or a ``Decimal`` is
    written as text first.
    """

    template: ClassVar[str]
    section: ClassVar[str] = ""

    @property
    def title(self) -> str:
        """Return what stands in the browser's tab, without the portal's name."""
        return type(self).__name__

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the pages above this one as (name, path), the outermost first."""
        return []


@dataclass(frozen=True)
class Slice:
    """Which part of a longer list a page shows: ``start`` counts from 0, ``total`` is of all that match."""

    start: int
    size: int
    total: int

    @property
    def end(self) -> int:
        """Return the number of the last row shown."""
        return min(self.start + self.size, self.total)


@dataclass(frozen=True)
class Point:
    """One value of a line; ``low`` and ``high`` bound what it may be, ``label`` says more of it to people."""

    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a chart. ``style`` is ``line``, ``dashed`` (an estimate) or ``bound`` (a threshold)."""

    name: str
    points: list[Point]
    style: str = "line"


@dataclass(frozen=True)
class Mark:
    """A moment worth seeing: a version went live, an alarm. ``kind`` is ``note`` or ``alarm``."""

    at: datetime
    label: str
    kind: str = "note"


@dataclass(frozen=True)
class Chart:
    """Lines over time, laid out by ``picture``; ``unit`` is ``ms``, ``s``, or ``%`` for 0..1.

    ``source`` is the address of a ``ChartPage``: its figures for people, and for the script that tells single ones.
    """

    title: str
    lines: list[Line]
    marks: list[Mark]
    unit: str = ""
    y_from: float | None = None
    source: str = ""

    @property
    def rows(self) -> list[tuple[str, Point]]:
        """Return the points as rows of (line, point), newest first, for the table beside the picture."""
        told: list[tuple[str, Point]] = [(line.name, point) for line in self.lines for point in line.points]
        return sorted(told, key=_at, reverse=True)


@dataclass(frozen=True)
class ChartPage(Page):
    """The figures of a chart: as a table for people, as JSON for the script that tells single ones."""

    template: ClassVar[str] = "chart.html"
    chart: Chart
    above: tuple[str, str]

    @property
    def title(self) -> str:
        """Return what is drawn."""
        return self.chart.title

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the page on which the chart stands."""
        return [self.above]


def _at(row: tuple[str, Any]) -> datetime:
    at: datetime = row[1].at
    return at
