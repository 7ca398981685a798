"""Numeric substitutes for columns that Evidently cannot draw in time: texts, vectors and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def instead(table: pa.Table) -> dict[str, str]:
    """Say of texts, vectors and lists by what they are drawn."""
    return {field.name: what for field in table.schema if (what := _what(field))}


def measurable(table: pa.Table) -> pa.Table:
    """Put the number of words in the place of a text or a list of them, a vector's length, the first of other lists.

    Null stays null.
    """
    for place, field in enumerate(table.schema):
        what = _what(field)
        if what:
            table = table.set_column(place, field.name, _MEASURED[what](table.column(place)))
    return table


WORD_COUNT = "drawn by the number of words"
LENGTH = "drawn by the length of the vector"
FIRST = "drawn by the first of each list"


def _what(field: pa.Field) -> str:
    from loopline.platform_core.monitor.drift.columns import TEXT_KIND
    from loopline.platform_core.monitor.drift.embeddings import is_embedding

    if (field.metadata or {}).get(TEXT_KIND) == b"text":
        return WORD_COUNT
    if is_embedding(field.type):
        return LENGTH
    return FIRST if _is_list(field.type) else ""


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _word_counts(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    texts = [value if value is None or isinstance(value, str) else " ".join(value) for value in column.to_pylist()]
    return pa.array([None if text is None else float(len(text.split())) for text in texts], pa.float64())


def _lengths(column: pa.ChunkedArray) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(
        [None if vector is None else float(np.linalg.norm(vector)) for vector in column.to_pylist()], pa.float64()
    )


def _firsts(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    firsts = [value[0] if value else None for value in column.to_pylist()]
    return pa.array([None if first is None else str(first) for first in firsts], pa.string())


_MEASURED = {WORD_COUNT: _word_counts, LENGTH: _lengths, FIRST: _firsts}
