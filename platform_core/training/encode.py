"""Encoding of training rows into the matrix, by the same encoder as the server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.model.encode import MISSING, UNKNOWN, column_names, matrix

if TYPE_CHECKING:
    import pyarrow as pa

CATEGORIES = 255
"""Most categories of one column: LightGBM's bins hold no more."""

Held: TypeAlias = Literal["number", "text", "numbers", "texts"]
_OTHERWISE = "let the model take columns: Model(inputs='columns')"

__all__ = ["CATEGORIES", "MISSING", "UNKNOWN", "column_names", "fixed", "held", "matrix", "vocabulary", "widths"]


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
        ContractBroken: they are not equally long, there is none, or they are no numbers.
    """
    import pyarrow as pa

    found: dict[str, int] = {}
    for name in features:
        if pa.types.is_list(table.schema.field(name).type):
            if _is_text(table.schema.field(name).type.value_type):
                raise ContractBroken(f"feature {name!r} has lists of texts, which no matrix holds", _OTHERWISE)
            lengths = _lengths(table.column(name))
            if len(lengths) != 1 or not lengths[0]:
                said = f"vectors of {lengths[0]} to {lengths[-1]} numbers" if lengths else "no vector"
                raise ContractBroken(
                    f"feature {name!r} has {said}", f"return vectors that are equally long, or {_OTHERWISE}"
                )
            found[name] = lengths[0]
    return found


def held(table: pa.Table, features: Sequence[str]) -> dict[str, Held]:
    """Say what each feature holds, for a model that takes columns."""
    import pyarrow as pa

    found: dict[str, Held] = {}
    for name in features:
        kind = table.schema.field(name).type
        if pa.types.is_list(kind):
            found[name] = "texts" if _is_text(kind.value_type) else "numbers"
        else:
            found[name] = "text" if _is_text(kind) else "number"
    return found


def fixed(table: pa.Table, features: Sequence[str]) -> dict[str, int]:
    """Return how many numbers each feature has that is a vector: lists of numbers that are all equally long."""
    lengths = {name: _lengths(table.column(name)) for name, what in held(table, features).items() if what == "numbers"}
    return {name: found[0] for name, found in lengths.items() if len(found) == 1}


def _lengths(column: pa.ChunkedArray) -> list[int]:
    from pyarrow import compute

    found: list[int] = compute.list_value_length(column).drop_null().unique().to_pylist()
    return sorted(found)


def _categories(column: pa.ChunkedArray) -> tuple[str, ...]:
    counts = {entry["values"]: entry["counts"] for entry in column.cast("string").value_counts().to_pylist()}
    counts.pop(None, None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:CATEGORIES]
    return tuple(sorted(frequent))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))
