"""Drift of predictions beyond the score: columns that a kind of models reads off them, such as recommended items.

Columns of the profile called ``answer.<name>``. They stand in no log: the profile's sample holds the target, by which
the same is read off what was logged. Like the score they are missing of rows that the model has learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core import targets
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.drift.values import ANSWERED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics.metric import Flags
    from loopline.platform_core.targets import Target

MARK = b"loopline.answered"
"""Metadata of an Arrow field: the target that says how its values are read off predictions."""


def of_training(target: Target, predicted: Floats, learnt: slice) -> pa.Table:
    """Read the raw predictions of a training set, null of the rows that were learnt from."""
    known = np.ones(len(predicted), bool)
    known[learnt] = False
    found = target.watched(predicted[known])
    mark = {MARK: msgspec.json.encode(target.to_json())} if found else {}
    columns = {f"{ANSWERED}{name}": _spread(values, known) for name, values in found.items()}
    schema = pa.schema([pa.field(name, values.type, metadata=mark) for name, values in columns.items()])
    return pa.table(columns, schema=schema)


def of_log(rows: pa.Table, like: pa.Schema) -> Mapping[str, pa.Array]:
    """Read logged rows as the marked columns of a profile's sample say, null where a row is of another width."""
    field = next((field for field in like if MARK in (field.metadata or {})), None)
    if field is None:
        return {}
    target = targets.from_json(msgspec.json.decode(field.metadata[MARK]))
    known = _readable(rows, target.width)
    shape = (-1,) if target.width == 1 else (-1, target.width)  # of no rows as well
    found = target.watched(raw.of(rows.filter(pa.array(known))).reshape(shape))
    return {f"{ANSWERED}{name}": _spread(values, known) for name, values in found.items()}


def _readable(rows: pa.Table, width: int) -> Flags:
    if width == 1:
        return np.asarray(rows["score"].is_valid())
    if raw.RAW not in rows.column_names:
        return np.zeros(len(rows), bool)
    return np.asarray(pc.fill_null(pc.equal(pc.list_value_length(rows[raw.RAW]), width), False))


def _spread(values: pa.Array, known: Flags) -> pa.Array:
    """Put values into the rows that are known, null into the others."""
    places = np.where(known, known.cumsum() - 1, 0)
    return values.take(pa.array(places, pa.int64(), mask=~known))
