"""Likely cause of a skew: why served features differ from what the offline table holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.features.compute.changes import living
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    from numpy.typing import NDArray

Cause = Literal["type", "late", "missing", "stale", "ahead", "value"]
MEANING: Mapping[Cause, str] = {
    "type": "the feature was served as another type",
    "late": "the offline row was written after the answer, yet claims to have been known before it",
    "missing": "the online store had no row, or one of a later event",
    "stale": "an older row was served",
    "ahead": "a row was served that training would not yet know",
    "value": "the value was computed otherwise, or sent by the caller",
}
"""What each cause means, for people."""


@dataclass(frozen=True)
class Held:
    """The offline rows of an entity: times in µs since 1970, shape (n,), and the features in the view's order."""

    event_us: NDArray[np.int64]
    created_us: NDArray[np.int64]
    features: Sequence[pa.ChunkedArray]

    def alike(self, values: Sequence[Any], relative: float) -> NDArray[np.bool_]:
        """Mark the rows whose features are these values, shape (n,)."""
        same = np.ones(len(self.event_us), dtype=np.bool_)
        for column, value in zip(self.features, values, strict=True):
            same &= _alike_column(column, value, relative)
        return same


class Answered(NamedTuple):
    """One view of one answered row: the features as served, and what the log says was missing or stale."""

    values: tuple[Any, ...]
    missing: bool
    stale: bool
    event_us: int
    answered_us: int


class Expected(NamedTuple):
    """What training sees instead: values, and the event and begin of writing (µs; None without a row)."""

    values: tuple[Any, ...]
    event_us: int | None
    begun_us: int | None


def likely_cause(answered: Answered, expected: Expected, held: Held | None, relative: float) -> Cause:
    """Choose the cause that explains an answer; ``held`` are the entity's offline rows, None without any."""
    if any(_other_type(a, e) for a, e in zip(answered.values, expected.values, strict=True)):
        return "type"
    if expected.begun_us is not None and expected.begun_us > answered.answered_us:
        return "late"
    if answered.missing:
        return "missing"
    return "stale" if answered.stale else _served_cause(answered, expected, held, relative)


def _served_cause(answered: Answered, expected: Expected, held: Held | None, relative: float) -> Cause:
    if held is None:
        return "value"
    served = held.alike(answered.values, relative)
    if (served & (held.event_us < (expected.event_us or 0))).any():
        return "stale"
    later = (held.event_us > answered.event_us) | (held.created_us > answered.answered_us)
    return "ahead" if (served & later).any() else "value"


def alike(left: Sequence[Any], right: Sequence[Any], relative: float) -> bool:
    """Say whether two rows of features are the same up to a relative difference of numbers."""
    return all(_alike(a, b, relative) for a, b in zip(left, right, strict=True))


def differs(served: Sequence[Any], offline: pa.ChunkedArray, relative: float) -> NDArray[np.bool_]:
    """Mark where served values differ from a column: by type, by null, or by more than ``relative``."""
    kind = offline.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        try:
            numbers = np.array(served, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = None
        if numbers is not None and not any(isinstance(value, str) for value in served):
            theirs = np.asarray(offline.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
            return ~np.isclose(numbers, theirs, rtol=relative, atol=relative, equal_nan=True)
    pairs = zip(served, offline.to_pylist(), strict=True)
    return np.array([not _alike(a, b, relative) for a, b in pairs], dtype=np.bool_)


def histories(rows: pa.Table, entity: str, features: Sequence[str], keys: Sequence[Any]) -> dict[Any, Held]:
    """Return the offline rows of some entities."""
    rows = living(rows)
    mine = rows.filter(pc.is_in(rows[entity], value_set=pa.array(keys, rows.schema.field(entity).type)))
    mine = mine.sort_by(entity).combine_chunks()
    event_us, created_us = (mine[name].cast(pa.int64()).to_numpy() for name in (EVENT_TIME, CREATED_AT))
    found: dict[Any, Held] = {}
    begin = 0
    for key, same in groupby(mine[entity].to_pylist()):
        count = sum(1 for _ in same)
        part = slice(begin, begin + count)
        columns = [mine[name].slice(begin, count) for name in features]
        found[key] = Held(event_us[part], created_us[part], columns)
        begin += count
    return found


def _alike_column(column: pa.ChunkedArray, value: Any, relative: float) -> NDArray[np.bool_]:
    """Say of each value of a column what ``_alike`` says: an entity may have thousands of rows for each answer."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        if isinstance(value, str | list):
            return np.zeros(len(column), dtype=np.bool_)
        numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        theirs = math.nan if value is None else float(value)
        return np.isclose(numbers, theirs, rtol=relative, atol=relative, equal_nan=True)
    return np.array([_alike(one, value, relative) for one in column.to_pylist()], dtype=np.bool_)


def _alike(left: Any, right: Any, relative: float) -> bool:
    if _nothing(left) or _nothing(right):
        return _nothing(left) and _nothing(right)
    if _other_type(left, right):
        return False
    if isinstance(left, str):
        return bool(left == right)
    if isinstance(left, list) or isinstance(right, list):
        return _alike_vectors(left, right, relative)
    return _close(float(left), float(right), relative)


def _close(one: float, other: float, relative: float) -> bool:
    """Say of two numbers what ``np.isclose`` says of columns in ``differs``, which takes long for one pair."""
    return one == other or (math.isfinite(other) and abs(one - other) <= relative + relative * abs(other))


def _alike_vectors(left: Any, right: Any, relative: float) -> bool:
    if not (isinstance(left, list) and isinstance(right, list) and len(left) == len(right)):
        return False
    if any(isinstance(one, str) for one in (*left, *right)):
        return left == right
    one, other = (np.array(side, dtype=np.float64) for side in (left, right))  # a log has null where a number is NaN
    return bool(np.isclose(one, other, rtol=relative, atol=relative, equal_nan=True).all())


def _other_type(left: Any, right: Any) -> bool:
    return not (_nothing(left) or _nothing(right)) and isinstance(left, str) != isinstance(right, str)


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
