"""What Evidently's preset cannot draw in time, by a number that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def instead(table: pa.Table) -> dict[str, str]:
    """Say of texts and vectors by what they are drawn."""
    return {field.name: what for field in table.schema if (what := _what(field))}


def measurable(table: pa.Table) -> pa.Table:
    """Put the number of words in the place of a text, the length in that of a vector; null stays null."""
    for place, field in enumerate(table.schema):
        what = _what(field)
        if what:
            column = table.column(place)
            table = table.set_column(
                place, field.name, _word_counts(column) if what == WORD_COUNT else _lengths(column)
            )
    return table


WORD_COUNT = "drawn by the number of words"
LENGTH = "drawn by the length of the vector"


def _what(field: pa.Field) -> str:
    from loopline.platform_core.monitor.columns import TEXT_KIND
    from loopline.platform_core.monitor.embeddings import is_embedding

    if (field.metadata or {}).get(TEXT_KIND) == b"text":
        return WORD_COUNT
    return LENGTH if is_embedding(field.type) else ""


def _word_counts(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if text is None else float(len(text.split())) for text in column.to_pylist()], pa.float64())


def _lengths(column: pa.ChunkedArray) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(
        [None if vector is None else float(np.linalg.norm(vector)) for vector in column.to_pylist()], pa.float64()
    )
