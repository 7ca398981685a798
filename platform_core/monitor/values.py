"""Columns to measure: Arrow's, and those inside the JSON objects that the prediction log carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.embeddings import is_embedding

SCORE = "score"
"""The model's output, measured like a feature."""
JOINT = "(joint)"
"""All features together, judged like one more column."""


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column's values are counted as categories."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def numbers(column: pa.ChunkedArray) -> Floats:
    """Return a column as float64; null becomes NaN, true 1.

    Raises:
        ContractBroken: its values are no numbers.
    """
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise ContractBroken(
            f"a feature of type {column.type} is neither a number nor text", "return float64 or string from the view"
        ) from error


def texts(column: pa.ChunkedArray) -> dict[str, int]:
    """Count the values of a text column, null left out."""
    counted = pc.value_counts(column.cast(pa.string()).combine_chunks())
    return {entry["values"]: entry["counts"] for entry in counted.to_pylist() if entry["values"] is not None}


def objects(column: pa.ChunkedArray) -> list[dict[str, Any]]:
    """Parse a column of JSON objects, all in one go; null is an empty object."""
    joined = b"[" + b",".join((text or "{}").encode() for text in column.to_pylist()) + b"]"
    parsed: list[dict[str, Any]] = msgspec.json.decode(joined)
    return parsed


def as_numbers(values: Sequence[Any] | Floats) -> Floats:
    """Return served values as float64; what is no number counts as missing (NaN)."""
    try:
        return np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def as_table(rows: pa.Table, like: pa.Schema) -> pa.Table:
    """Turn rows of the prediction log into columns such as ``like`` has: features and ``score``, text or float64."""
    served = objects(rows.column("features"))
    found = {field.name: _column(rows, served, field) for field in like}
    kinds = [pa.field(field.name, found[field.name].type, metadata=field.metadata) for field in like]
    return pa.table(found, schema=pa.schema(kinds))


def _column(rows: pa.Table, served: Sequence[Mapping[str, Any]], field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name == SCORE:
        return rows.column(SCORE)
    values = [row.get(field.name) for row in served]
    if is_text(field.type):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if is_embedding(field.type):
        return pa.array([value if _is_vector(value) else None for value in values], pa.list_(pa.float64()))
    return pa.array(as_numbers(values), pa.float64(), from_pandas=True)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
