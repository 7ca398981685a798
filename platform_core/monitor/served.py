"""Rows of the prediction log as columns such as a profile's sample has."""

from __future__ import annotations

import pyarrow as pa

from loopline.platform_core.monitor.columns import KINDS, Column
from loopline.platform_core.monitor.values import SCORE, objects


def as_table(rows: pa.Table, like: pa.Schema) -> pa.Table:
    """Turn rows of the prediction log into columns such as ``like`` has: features of their kinds, and ``score``."""
    served = objects(rows.column("features"))
    columns = {
        field.name: rows.column(SCORE)
        if field.name == SCORE
        else _read(field.type).served([row.get(field.name) for row in served])
        for field in like
    }
    fields = [pa.field(field.name, columns[field.name].type, metadata=field.metadata) for field in like]
    return pa.table(columns, schema=pa.schema(fields))


def _read(kind: pa.DataType) -> type[Column]:
    return next(each for each in KINDS if each.reads(kind))
