"""Labels of forecasts, lists of one length: conversion and validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Floats


def to_numbers(labels: pa.ChunkedArray, width: int) -> Floats:
    """Return (rows, width) numbers, NaN where there is none; what is beyond ``width`` is left out."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    found = np.full((len(labels), width), np.nan)
    if not _are_lists(labels.type):
        return found
    whole = pa.concat_arrays(labels.chunks) if labels.num_chunks else pa.array([], labels.type)
    sizes = np.asarray(compute.list_value_length(whole).fill_null(0)).astype(np.int64)
    flat = np.asarray(whole.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    row = np.repeat(np.arange(len(whole)), sizes)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    fits = place < width
    found[row[fits], place[fits]] = flat[fits]
    return found


def trouble(labels: pa.ChunkedArray, width: int, wanted: str, *, from_zero: bool) -> str:
    """Say what labels are no lists of so many numbers, "" where all are; null is no label, and NaN a missing number."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    there = labels.drop_null()
    if not len(there):
        return ""
    if not _are_lists(labels.type) or not _are_numbers(labels.type.value_type):
        return f"label {there[0]} in {len(there)} rows is no list of numbers: return {wanted}"
    whole = pa.concat_arrays(there.chunks)
    sizes = np.asarray(compute.list_value_length(whole)).astype(np.int64)
    flat = whole.flatten().cast(pa.float64())
    bad = compute.is_inf(flat)
    bad = compute.or_(bad, compute.less(flat, 0.0)) if from_zero else bad
    marked = np.asarray(bad.fill_null(False)).astype(np.float64)
    odd = (sizes != width) | (np.bincount(np.repeat(np.arange(len(whole)), sizes), marked, len(whole)) > 0)
    if not odd.any():
        return ""
    return f"label {whole[int(np.flatnonzero(odd)[0])]} in {int(odd.sum())} rows: return {wanted}"


def _are_lists(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _are_numbers(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))
