"""Watermarks: how far a table is read, as instants or whole numbers.

Instants are those of UTC, also where the column has no zone; a day begins its instants.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import msgspec

from loopline.platform_core.errors import InvalidEnvironment

Kind = Literal["instant", "local", "date", "number"]
Mark = datetime | int
FARTHEST = datetime(9999, 12, 31, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_UNBOUNDED = {"infinity": FARTHEST, "-infinity": EARLIEST}


class Cursor(msgspec.Struct, frozen=True):
    """From where a table is read on behind a page.

    Every row below ``start`` was taken, ``last`` is the page's own greatest watermark, ``top`` that of all pages.
    """

    kind: Kind
    start: str
    last: str
    top: str


def kind_of(value: Any) -> Kind:
    """Say what kind of watermark a column has.

    Raises:
        InvalidEnvironment: it has none of these.
    """
    if isinstance(value, datetime):
        return "instant" if value.tzinfo else "local"
    if isinstance(value, date):
        return "date"
    if isinstance(value, Decimal) and value != value.to_integral_value():
        raise _no_watermark(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return "number"
    if value in _UNBOUNDED:
        return "instant"
    raise _no_watermark(value)


def mark_of(value: Any) -> Mark:
    """Return a value as an instant of UTC or as a number."""
    if isinstance(value, str):
        return _UNBOUNDED[value]
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time(), UTC) if isinstance(value, date) else int(value)


def value_of(kind: Kind, mark: Mark) -> Any:
    """Return what a column of a kind is compared with."""
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


def _no_watermark(value: Any) -> InvalidEnvironment:
    return InvalidEnvironment(
        f"a watermark column holds {value!r}, which is neither an instant nor a whole number",
        "name a column of instants, days or whole numbers that never grow smaller",
    )
