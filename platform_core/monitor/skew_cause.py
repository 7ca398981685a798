"""Why an answer was not what training would have seen: the likely cause, from what the offline table tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.features.changes import living
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


class Held(NamedTuple):
    """An offline row of an entity: times in µs since 1970, and its features in the view's order."""

    event_us: int
    created_us: int
    values: tuple[Any, ...]


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


def likely_cause(answered: Answered, expected: Expected, history: Sequence[Held], relative: float) -> Cause:
    """Choose the cause that explains an answer; ``history`` are the entity's offline rows."""
    if any(_other_type(a, e) for a, e in zip(answered.values, expected.values, strict=True)):
        return "type"
    if expected.begun_us is not None and expected.begun_us > answered.answered_us:
        return "late"
    if answered.missing:
        return "missing"
    served = [row for row in history if alike(row.values, answered.values, relative)]
    if answered.stale or any(row.event_us < (expected.event_us or 0) for row in served):
        return "stale"
    later = (row.event_us > answered.event_us or row.created_us > answered.answered_us for row in served)
    return "ahead" if any(later) else "value"


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


def histories(rows: pa.Table, entity: str, features: Sequence[str], keys: Sequence[Any]) -> dict[Any, list[Held]]:
    """Return the offline rows of some entities."""
    rows = living(rows)
    mine = rows.filter(pc.is_in(rows[entity], value_set=pa.array(keys, rows.schema.field(entity).type)))
    times = (mine[name].cast(pa.int64()).to_pylist() for name in (EVENT_TIME, CREATED_AT))
    values = zip(*(mine[name].to_pylist() for name in features), strict=True)
    found: dict[Any, list[Held]] = {}
    for key, event, created, held in zip(mine[entity].to_pylist(), *times, values, strict=True):
        found.setdefault(key, []).append(Held(event, created, held))
    return found


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
    one, other = (np.array(side, dtype=np.float64) for side in (left, right))  # a log has null where a number is NaN
    return bool(np.isclose(one, other, rtol=relative, atol=relative, equal_nan=True).all())


def _other_type(left: Any, right: Any) -> bool:
    return not (_nothing(left) or _nothing(right)) and isinstance(left, str) != isinstance(right, str)


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
