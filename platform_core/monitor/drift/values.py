"""Value extraction for drift: from Arrow columns, and from JSON in the prediction log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.distance import Floats

SCORE = "score"
"""The model's output, measured like a feature."""
ANSWERED = "answer."
"""Begins the names of what else of the model's output is."""


def is_answer(name: str) -> bool:
    """Say whether a column is of what a model answered, which is missing of rows that it has learnt from."""
    return name == SCORE or name.startswith(ANSWERED)


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


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
