"""Conversion of numbers, one or a fixed count a row, between NumPy arrays and table columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def to_column(numbers: NDArray[np.float64]) -> pa.Array:
    """Return an array (rows,) as a column of float64, one (rows, width) as a column of lists; NaN becomes null."""
    import numpy as np
    import pyarrow as pa

    flat = pa.array(numbers.ravel(), pa.float64(), from_pandas=True)
    if numbers.ndim == 1:
        return flat
    size, width = numbers.shape
    return pa.ListArray.from_arrays(pa.array(np.arange(size + 1) * width, pa.int32()), flat)


def to_array(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Return a column of numbers as float64 (rows,), one of lists of one length as (rows, width); null becomes NaN."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_list(whole.type):
        return np.asarray(whole.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    flat = np.asarray(whole.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    if not whole.null_count:
        return flat.reshape(len(whole), -1) if len(whole) else flat.reshape(0, 1)
    width = compute.max(compute.list_value_length(whole)).as_py() or 1
    found = np.full((len(whole), width), np.nan)
    found[np.asarray(whole.is_valid())] = flat.reshape(-1, width)
    return found


def there(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the rows that have a number: of several the first must be there, later ones may be missing."""
    import numpy as np

    return np.isfinite(numbers if numbers.ndim == 1 else numbers[:, 0])
