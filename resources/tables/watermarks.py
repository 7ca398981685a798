"""Watermarks: how far a table is read, as instants or whole numbers.

Instants are those of UTC, also where the column has no zone; a day begins its instants.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import msgspec

from loopline.platform_core.errors import InvalidEnvironment

Kind = Literal["instant", "local", "date", "number"]
Mark = datetime | int
_FIX = "name a column of instants, days or numbers that never grow smaller"
FARTHEST = datetime(9999, 12, 31, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
"""Stand for what no date of Python's can be: ``infinity``, and years beyond these."""


class Cursor(msgspec.Struct, frozen=True):
    """From where a table is read on behind a page.

    Every row below ``start`` was taken, ``last`` is the page's own greatest watermark, ``top`` that of all pages.
    """

    kind: Kind
    start: str
    last: str
    top: str


def checked(kind: Kind | None, column: str) -> Kind:
    """Return the kind of a watermark column.

    Raises:
        InvalidEnvironment: it is of none.
    """
    if kind is not None:
        return kind
    raise InvalidEnvironment(f"the watermark column {column!r} holds neither instants, days nor numbers", _FIX)


def mark_of(value: Any) -> Mark:
    """Return a value as an instant of UTC, or as the whole number below it.

    Raises:
        InvalidEnvironment: it is no number.
    """
    if isinstance(value, str):
        return EARLIEST if value.startswith("-") or value.endswith("BC") else FARTHEST
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if not math.isfinite(value):
        raise InvalidEnvironment(f"a watermark is {value}", _FIX)
    number: int = math.floor(value)
    return number


def value_of(kind: Kind, mark: Mark) -> Any:
    """Return what a column of a kind is compared with, None where nothing may be left out."""
    if mark == EARLIEST:
        return None
    if not isinstance(mark, datetime):
        return mark
    if kind == "date":
        return mark.date()
    return mark.replace(tzinfo=None) if kind == "local" else mark


def written(mark: Mark) -> str:
    """Write a mark."""
    return mark.isoformat() if isinstance(mark, datetime) else str(mark)


def read(kind: Kind, text: str) -> Mark:
    """Read what was written."""
    return int(text) if kind == "number" else datetime.fromisoformat(text)


def start_behind(kind: Kind, mark: Mark, now: datetime, late_seconds: float, late_numbers: int) -> Mark:
    """Return below what no row can come any more, where all up to ``mark`` were read at ``now``."""
    if isinstance(mark, datetime):
        start = min(mark, now - timedelta(seconds=late_seconds))
        return datetime.combine(start, time(), UTC) if kind == "date" else start
    return mark - late_numbers
