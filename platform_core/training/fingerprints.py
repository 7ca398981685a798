"""Hashes of training sets: of how one was declared, and of the rows that it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from loopline.platform_core.features.registry.declared_source import sources

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import Model


def spec_hash(model: Model) -> str:
    """Hash what decides a training set's rows: names, keys, versions, ttl, and the text of the functions."""
    labels = model.labels
    declared = {
        "labels": [labels.name, labels.source.name, labels.entities, labels.time, labels.label, labels.known_at],
        "segments": labels.segments,
        "views": [[v.name, v.version, v.source.name, v.entity, v.time, v.ttl_days, v.served] for v in model.features],
        "contracts": sorted({s.contract for s in (labels.source, *(v.source for v in model.features))}),
        "functions": [sources(f) for f in (labels.compute, *(v.compute for v in model.features))],
    }
    if model.training == "as_known":
        declared["training"] = [model.training]
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


def row_hash(rows: pa.Table) -> str:
    """Hash names, types and values of a table whose columns and rows are in a fixed order.

    The same in every process and however the table is cut into chunks: values are hashed, not memory.
    """
    digest = hashlib.sha256(str(len(rows)).encode())
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        digest.update(f"{name}:{column.type}".encode())
        for part in _bytes(column):
            digest.update(part)
    return digest.hexdigest()


def _bytes(column: pa.Array) -> Iterator[bytes]:
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    yield np.packbits(np.asarray(column.is_valid())).tobytes()
    if pa.types.is_string(column.type):
        texts = column.fill_null("")
        yield compute.binary_length(texts).to_numpy(zero_copy_only=False).astype("<i4").tobytes()
        yield "".join(texts.to_pylist()).encode()
    elif pa.types.is_list(column.type):
        yield (
            compute.fill_null(compute.list_value_length(column), -1)
            .to_numpy(zero_copy_only=False)
            .astype("<i4")
            .tobytes()
        )
        yield from _bytes(compute.list_flatten(column))
    elif pa.types.is_floating(column.type):
        yield column.fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8").tobytes()
    else:
        whole = column.cast(pa.int64()).fill_null(0)
        yield whole.to_numpy(zero_copy_only=False).astype("<i8").tobytes()
