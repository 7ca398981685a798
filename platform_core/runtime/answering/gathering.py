"""Gathers the features of a request's rows from the request itself and from online lookups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, starmap
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from loopline.platform_core.runtime.answering.freshness import ViewUse, fresh_rows, mark_missing
from loopline.platform_core.runtime.wire.tensors import Value

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import OnlineRow
    from loopline.platform_core.runtime.model.manifest import ViewField
    from loopline.platform_core.runtime.wire.protocol import InferRequest

    Fresh: TypeAlias = tuple[Sequence[str], Sequence[OnlineRow | None]]

Row = tuple[Value, ...]
"""Features in the manifest's order."""
_lines = msgspec.json.Encoder().encode_lines


class Lookup(NamedTuple):
    """What the online store holds of a view: a row or None for each row of the request."""

    view: ViewField
    rows: Sequence[OnlineRow | None]


class Gathered(msgspec.Struct, frozen=True):
    """What a version sees of a request: per row the features, as values and as JSON, and the views without values.

    Views are ``missing`` that have no row of their width and of then, ``stale`` those whose row is older than the TTL.
    """

    rows: Sequence[Row]
    features: list[str]
    missing: list[list[str]]
    stale: list[list[str]]
    uses: list[ViewUse]


class Gathering:
    """Puts rows together for one model version; ``names`` are its features in the manifest's order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._pick, self._written = _picker(names), Writer(names)

    def of(self, request: InferRequest, lookups: Sequence[Lookup], event_time_us: int) -> Gathered:
        """Put what was looked up beside what the request brings; rows too old at its event time fall out."""
        missing: list[list[str]] = [[] for _ in range(request.rows)]
        stale: list[list[str]] = [[] for _ in range(request.rows)]
        fresh: list[Fresh] = []
        uses = []
        for view, held in lookups:
            counted, use = fresh_rows(view, held, event_time_us)
            fresh.append((view.features, counted))
            uses.append(use)
            if use.missing or use.stale:
                mark_missing(view, held, counted, event_time_us, missing, stale)
        rows = self._row(request, fresh) if request.rows == 1 else self._rows(request, fresh)
        return Gathered(rows, self._written(rows), missing, stale, uses)

    def _row(self, request: InferRequest, fresh: Sequence[Fresh]) -> list[Row]:
        """Return the only row; what the request brings goes before what was looked up."""
        if request.matrix is not None:
            return [tuple(request.matrix.values)]
        if not fresh:
            return [tuple(chain.from_iterable(self._pick(request.columns)))]
        values: dict[str, Value] = {}
        for features, (row,) in fresh:
            values.update(zip(features, row.values, strict=True) if row else dict.fromkeys(features))
        values.update({name: value for name, (value,) in request.columns.items()})
        return [self._pick(values)]

    def _rows(self, request: InferRequest, fresh: Sequence[Fresh]) -> list[Row]:
        """Return each row, as ``_row`` does for one, but column by column."""
        matrix = request.matrix
        if matrix is not None:
            return list(zip(*[iter(matrix.values)] * matrix.width, strict=True))
        values: dict[str, Sequence[Value]] = {}
        for features, rows in fresh:
            nothing = (None,) * len(features)
            held = zip(*(row.values if row else nothing for row in rows), strict=True)
            values.update(zip(features, held, strict=True))
        values.update(request.columns)
        return list(zip(*self._pick(values), strict=True))


class Writer:
    """Writes rows as JSON objects with these names."""

    def __init__(self, names: Sequence[str]) -> None:
        fields = [f"value_{place}" for place in range(len(names))]  # names may be anything, fields are identifiers
        self._row: Callable[..., object]
        try:
            self._row = msgspec.defstruct("_Row", fields, rename=dict(zip(fields, names, strict=True)), gc=False)
        except ValueError:  # a name has signs that JSON must escape
            self._row = lambda *values: dict(zip(names, values, strict=True))

    def __call__(self, rows: Iterable[Row]) -> list[str]:
        """Write rows, all at once: a line never breaks within a JSON object."""
        return _lines(list(starmap(self._row, rows))).decode().split("\n")[:-1]


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Return what takes these names' values out of a mapping, in order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)
