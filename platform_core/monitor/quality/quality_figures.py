"""Live metrics by version and window, as stored in the ledger's database; measures nothing."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loopline.platform_core.loop.rollouts import quality_table

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


READING, LABEL = "reading", "label"
"""What is told of a band of like readings: its mean reading between its ends, its mean label between what it may be."""


class WindowFigure(msgspec.Struct, frozen=True, array_like=True):
    """A figure as a row of the table keeps it, without what the row says of all."""

    metric: str
    segment: str
    value: float
    low: float
    high: float
    rows: int
    labelled: int
    estimated: bool


class Measured(NamedTuple):
    """A metric of one version's window, with its 95 % interval.

    ``segment`` is "" for all rows, else such as "country=France". ``rows`` were answered; ``labelled`` of them have a
    label that counts. An estimate is of all ``rows``, and what is not estimated is of the labelled ones, but for
    metrics that need no label.
    """

    metric: str
    version: str
    segment: str
    since: datetime
    until: datetime
    value: float
    low: float
    high: float
    rows: int
    labelled: int
    estimated: bool


_decoder = msgspec.json.Decoder(list[WindowFigure])
_FIELDS = {field.name: field.type for field in msgspec.structs.fields(WindowFigure)}
_tuples: msgspec.json.Decoder[list[tuple[Any, ...]]] = msgspec.json.Decoder(list[tuple[tuple(_FIELDS.values())]])  # type: ignore[misc]
"""The same, for who takes each apart at once."""
_ROWS, _LABELLED = (itemgetter([*_FIELDS].index(name)) for name in ("rows", "labelled"))


def history(platform: Platform, ref: ModelRef, newest: int | None = None) -> list[Measured]:
    """Return figures as they were measured last, oldest window first: of all, or of the ``newest`` of each version."""
    return [
        Measured(metric, row.version, segment, row.since, row.until, value, low, high, rows, labelled, estimated)
        for row in quality_table.rows(platform.ledger, ref, newest=newest)
        for metric, segment, value, low, high, rows, labelled, estimated in _tuples.decode(row.measured)
    ]


def encode(figures: list[WindowFigure]) -> str:
    """Write figures as the ledger keeps them."""
    return msgspec.json.encode(figures).decode()


def decode(text: str) -> list[WindowFigure]:
    """Read them."""
    return _decoder.decode(text)


def is_band(segment: str) -> bool:
    """Say whether a segment is a band of readings."""
    return segment.startswith(f"{READING} ")


class Counts(NamedTuple):
    """How many rows a window had when it was measured, and how many of them had a label."""

    answered: int
    labelled: int


def counts(text: str) -> Counts:
    """Return how many rows a window was measured from."""
    found = _tuples.decode(text)
    return Counts(max(map(_ROWS, found), default=0), max(map(_LABELLED, found), default=0))
