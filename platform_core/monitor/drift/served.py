"""Converts rows of the prediction log into the columns of a training profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from loopline.platform_core.monitor.drift import answered, watched
from loopline.platform_core.monitor.drift.columns import KINDS, Column
from loopline.platform_core.monitor.drift.values import SCORE, objects


def as_table(rows: pa.Table, like: pa.Schema) -> pa.Table:
    """Turn rows of the prediction log into columns such as ``like`` has: features, readings of them, ``score``."""
    served, read = objects(rows.column("features")), {SCORE: rows.column(SCORE), **answered.of_log(rows, like)}
    columns = {f.name: read[f.name] if f.name in read else _column(f, served) for f in like}
    fields = [pa.field(field.name, columns[field.name].type, metadata=field.metadata) for field in like]
    return pa.table(columns, schema=pa.schema(fields))


def _column(field: pa.Field, served: Sequence[Mapping[str, Any]]) -> pa.Array:
    read = watched.of_served(field, served)
    return read if read is not None else _read(field.type).served([row.get(field.name) for row in served])


def _read(kind: pa.DataType) -> type[Column]:
    return next(each for each in KINDS if each.reads(kind))
