"""Labels that are lists of declared items: validation, and encoding as places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Floats


def as_lists(labels: pa.ChunkedArray) -> pa.ListArray | None:
    """Return labels as one array of lists; None where they are no lists."""
    import pyarrow as pa

    whole = labels.combine_chunks()
    kind = whole.type
    if pa.types.is_list(kind):
        return whole
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return whole.cast(pa.list_(kind.value_type))
    return None


def first_odd(labels: pa.ChunkedArray, items: Sequence[str | int], most: int) -> tuple[Any, int, str]:
    """Return the first label that is no list of at most so many items, how many there are (0: none), and the fix."""
    import numpy as np
    from pyarrow import compute

    lists = as_lists(labels)
    if lists is None:
        some = labels.drop_null()
        return (some[0], len(some), "return a list of items, or null") if len(some) else (None, 0, "")
    codes, rows = _codes(lists, items), compute.list_parent_indices(lists)
    unknown = np.unique(np.asarray(rows.filter(compute.is_null(codes))))
    if len(unknown):
        strange = lists.flatten().filter(compute.is_null(codes))[0]
        fix = f"write {strange} behind the target's items, or leave it out of the label"
        return lists[int(unknown[0])].as_py(), len(unknown), fix
    long = np.flatnonzero(np.asarray(compute.fill_null(compute.list_value_length(lists), 0)) > most)
    if len(long):
        told = lists[int(long[0])].as_py()
        return f"of {len(told)} items ({told[0]}, ...)", len(long), f"let the target's 'most', {most}, be larger"
    return None, 0, ""


def places(labels: pa.ChunkedArray, items: Sequence[str | int], most: int) -> Floats:
    """Return the places of the items of each label in rising order, NaN behind them: (rows, most)."""
    import numpy as np
    from pyarrow import compute

    found = np.full((len(labels), most), np.nan)
    lists = as_lists(labels)
    if lists is None:
        return found
    codes = _codes(lists, items)
    known = compute.is_valid(codes)
    rows, codes = (np.asarray(one.filter(known), dtype=np.int64) for one in (compute.list_parent_indices(lists), codes))
    keys = np.unique(rows * len(items) + codes)
    rows, codes = np.divmod(keys, max(1, len(items)))
    column = np.arange(len(rows)) - np.searchsorted(rows, rows)
    room = column < most
    found[rows[room], column[room]] = codes[room]
    return found


def _codes(lists: pa.ListArray, items: Sequence[str | int]) -> pa.Array:
    """Look all items of all lists up; null where there is none such."""
    import pyarrow as pa
    from pyarrow import compute

    flat = lists.flatten()
    is_text = not pa.types.is_floating(flat.type) and not pa.types.is_integer(flat.type)
    numbered = bool(items) and all(isinstance(one, int) for one in items)
    if is_text == numbered or not items:
        return pa.nulls(len(flat), pa.int32())
    kind = pa.string() if is_text else pa.float64()
    return compute.index_in(flat.cast(kind), value_set=pa.array(items).cast(kind), skip_nulls=True)
