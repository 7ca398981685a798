"""Watermarks: how far a table is read, as instants or whole numbers.

Instants are those of UTC, also where the column has no zone; a day begins its instants.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import msgspec

from loopline.platform_core.errors import InvalidEnvironment

Kind = Literal["instant", "local", "date", "number"]
Mark = datetime | float
"""An instant, or a whole number; infinite where it is none."""
FARTHEST = datetime.max.replace(tzinfo=UTC)
EARLIEST = datetime.min.replace(tzinfo=UTC)
"""Stand for what no date of Python's can be: ``infinity``, and years beyond these."""
GREATEST = 10**38
"""What is greater stands for no number of a sequence."""
AGAIN, MANY = 100, 10_000
"""So many different numbers, the greatest, are read again at each look, or so many rows."""


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """From where a table is read on behind a page.

    Every row below ``start`` was taken, ``last`` is the page's own greatest watermark, ``top`` that of all pages, the
    future left out. ``read_at`` is what was over when it was read, "" where that does not matter. Its rows
    are ``in_order`` if each has a watermark of its own.
    """

    kind: Kind
    start: str
    last: str
    top: str
    read_at: str = ""
    in_order: bool = False


def checked(kind: Kind | None, column: str) -> Kind:
    """Return the kind of a watermark column.

    Raises:
        InvalidEnvironment: it is of none.
    """
    if kind is not None:
        return kind
    raise InvalidEnvironment(
        f"the watermark column {column!r} holds neither instants, days nor numbers",
        "name a column of instants, days or numbers that never grow smaller",
    )


def mark_of(value: Any) -> Mark:
    """Return a value as an instant of UTC, or as the whole number below it; what is no number is beyond all."""
    if isinstance(value, str):
        return EARLIEST if value.startswith("-") or value.endswith("BC") else FARTHEST
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:
            return EARLIEST if value.year == 1 else FARTHEST
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    number: float = math.inf if math.isnan(value) else value
    return math.floor(number) if abs(number) <= GREATEST else math.copysign(math.inf, number)


def is_bounded(mark: Mark) -> bool:
    """Say whether a mark is an instant or a number."""
    return isinstance(mark, datetime) or math.isfinite(mark)


def value_of(kind: Kind, mark: Mark) -> Any:
    """Return what a column of a kind is compared with, None where nothing may be left out."""
    if mark in (EARLIEST, -math.inf):
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
    if kind != "number":
        return datetime.fromisoformat(text)
    return float(text) if text.endswith("inf") else int(text)


def start_behind(kind: Kind, mark: datetime, now: datetime, late_seconds: float) -> datetime:
    """Return below what no row can come any more, where all up to ``mark`` were read at ``now``."""
    start = min(mark, now - timedelta(seconds=late_seconds))
    return datetime.combine(start, time(), UTC) if kind == "date" else start


@dataclass
class Greatest:
    """The greatest numbers that a look has met: from ``floor`` on ``AGAIN`` different ones, or ``MANY`` rows.

    A number does not say whether it is wrong: where fewer are far above the others, what comes below them is still
    read. Where so many are, the sequence has jumped.
    """

    floor: Mark
    _met: deque[tuple[Mark, int]] = field(default_factory=deque)
    _rows: int = 0

    def meet(self, mark: Mark) -> None:
        """Count a row, unless it has no number."""
        if not is_bounded(mark):
            return
        same = self._met.pop()[1] if self._met and self._met[-1][0] == mark else 0
        self._met.append((mark, same + 1))
        self._rows += 1
        while len(self._met) > AGAIN or self._rows - self._met[0][1] >= MANY:
            self._rows -= self._met.popleft()[1]
            self.floor = self._met[0][0]
