"""Numbers of rows as arrays and as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.foundation.number_lists import there, to_array, to_column

NOTHING = np.nan


@pytest.mark.parametrize("numbers", [[1.0, NOTHING, 3.0], [[1.0, 2.0], [3.0, NOTHING]], []])
def test_a_column_gives_back_its_array(numbers: list[object]) -> None:
    """One number a row, or several; what is missing is null in the column."""
    array = np.array(numbers)
    column = to_column(array)
    assert pa.types.is_list(column.type) == (array.ndim > 1)
    np.testing.assert_array_equal(to_array(pa.chunked_array([column])), array)


def test_no_list_is_a_row_of_nothing() -> None:
    """Lists keep their places beside a null."""
    column = pa.array([None, [1.0, 2.0], None], pa.list_(pa.float64()))
    np.testing.assert_array_equal(to_array(column), [[NOTHING] * 2, [1.0, 2.0], [NOTHING] * 2])
    assert to_array(column.slice(0, 0)).shape == (0, 1)


def test_the_first_number_says_whether_there_is_a_label() -> None:
    """Later ones may be missing."""
    assert there(np.array([1.0, NOTHING, np.inf])).tolist() == [True, False, False]
    assert there(np.array([[1.0, NOTHING], [NOTHING, 2.0]])).tolist() == [True, False]
