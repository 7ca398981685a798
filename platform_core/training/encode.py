"""Training rows to the matrix; the encoding itself is the server's, so that both see the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model.encode import MISSING, UNKNOWN, column_names, matrix

if TYPE_CHECKING:
    import pyarrow as pa

CATEGORIES = 255
"""Most categories of one column: LightGBM's bins hold no more."""

__all__ = ["CATEGORIES", "MISSING", "UNKNOWN", "column_names", "matrix", "vocabulary", "widths"]


def vocabulary(table: pa.Table, features: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Collect the categories of each text column among ``features``.

    Returns:
        Column name → sorted categories; of more than ``CATEGORIES`` the most frequent stay, the rest are unknown.
        The order of rows does not matter.
    """
    return {name: _categories(table.column(name)) for name in features if _is_text(table.schema.field(name).type)}


def widths(table: pa.Table, features: Sequence[str]) -> dict[str, int]:
    """Return how many numbers the vectors of each column of lists have.

    Raises:
        ContractBroken: they are not equally long, or there is none.
    """
    import pyarrow as pa
    from pyarrow import compute

    found: dict[str, int] = {}
    for name in features:
        if pa.types.is_list(table.schema.field(name).type):
            lengths = compute.list_value_length(table.column(name)).drop_null().unique().to_pylist()
            if len(lengths) != 1 or not lengths[0]:
                said = f"vectors of {min(lengths)} to {max(lengths)} numbers" if lengths else "no vector"
                raise ContractBroken(f"feature {name!r} has {said}", "return vectors that are equally long")
            found[name] = lengths[0]
    return found


def _categories(column: pa.ChunkedArray) -> tuple[str, ...]:
    counts = {entry["values"]: entry["counts"] for entry in column.cast("string").value_counts().to_pylist()}
    counts.pop(None, None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:CATEGORIES]
    return tuple(sorted(frequent))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))
