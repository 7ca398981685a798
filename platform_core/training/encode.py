"""Training rows to the matrix; the encoding itself is the server's, so that both see the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.runtime.model.encode import MISSING, UNKNOWN, matrix

if TYPE_CHECKING:
    import pyarrow as pa

CATEGORIES = 255
"""Most categories of one column: LightGBM's bins hold no more."""

__all__ = ["CATEGORIES", "MISSING", "UNKNOWN", "matrix", "vocabulary"]


def vocabulary(table: pa.Table, features: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Collect the categories of each text column among ``features``.

    Returns:
        Column name → sorted categories; of more than ``CATEGORIES`` the most frequent stay, the rest are unknown.
        The order of rows does not matter.
    """
    return {name: _categories(table.column(name)) for name in features if _is_text(table.schema.field(name).type)}


def _categories(column: pa.ChunkedArray) -> tuple[str, ...]:
    counts = {entry["values"]: entry["counts"] for entry in column.cast("string").value_counts().to_pylist()}
    counts.pop(None, None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:CATEGORIES]
    return tuple(sorted(frequent))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))
