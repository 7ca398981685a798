"""Columns to the matrix, the same for Arrow, numpy and plain values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.training.encode import CATEGORIES, matrix, vocabulary


def test_matrix_of_every_kind_of_value() -> None:
    """Numbers, truth values and categories become float64; missing is NaN, unknown -1."""
    columns = {"n": [1, None, 2.5], "b": [True, False, None], "c": ["x", None, "new"]}
    wanted = [[1.0, 1.0, 1.0], [np.nan, 0.0, np.nan], [2.5, np.nan, -1.0]]
    np.testing.assert_array_equal(matrix(columns, ["n", "b", "c"], {"c": ("a", "x")}), wanted)


@settings(deadline=None)  # the first example imports Arrow
@given(st.lists(st.tuples(st.none() | st.integers(-(2**53), 2**53), st.none() | st.sampled_from("abc")), min_size=1))
def test_arrow_numpy_and_sequences_encode_alike(rows: list[tuple[int | None, str | None]]) -> None:
    """Training gives Arrow, the server plain values or numpy: the matrix is the same to the bit."""
    numbers, texts = [row[0] for row in rows], [row[1] for row in rows]
    known, names = {"t": ("a", "b")}, ["n", "t"]
    arrow = {"n": pa.array(numbers, pa.int64()), "t": pa.chunked_array([pa.array(texts, pa.string())])}
    encoded = [text.encode() if text is not None else None for text in texts]
    floats = np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
    plain = matrix({"n": numbers, "t": texts}, names, known)
    np.testing.assert_array_equal(matrix(arrow, names, known), plain)
    np.testing.assert_array_equal(matrix({"n": floats, "t": encoded}, names, known), plain)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"a": [1.0]}, "'b' is not given"),
        ({"a": [1.0], "b": ["3"]}, "is text"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "2 rows"),
        ({"a": [1.0], "b": np.array(["2020-01-01"], dtype="datetime64[us]")}, "'b'"),
    ],
)
def test_what_is_no_number_is_named(columns: dict[str, object], what: str) -> None:
    """A missing, textual, too long or temporal column is refused with its name."""
    with pytest.raises(ContractBroken, match=what):
        matrix(columns, ["a", "b"], {})


def test_vocabulary_holds_text_columns_sorted() -> None:
    """Text, large text and dictionary columns are categories; the order of rows does not matter."""
    table = pa.table(
        {
            "n": [1, 2, 3],
            "s": ["b", None, "a"],
            "d": pa.array(["y", "x", "y"]).dictionary_encode(),
            "l": pa.array(["q", "q", None], pa.large_string()),
            "v": pa.array(["w", None, None], pa.string_view()),
            "beside": ["z", "z", "z"],
        }
    )
    wanted = {"s": ("a", "b"), "d": ("x", "y"), "l": ("q",), "v": ("w",)}
    assert vocabulary(table, ["n", "s", "d", "l", "v"]) == wanted
    assert vocabulary(pa.concat_tables([table.slice(2), table.slice(0, 2)]), ["n", "s", "d", "l", "v"]) == wanted


def test_vocabulary_keeps_the_most_frequent() -> None:
    """Of more categories than a bin can hold the rare ones go; of equals the first by name stay."""
    values = [f"c{n:03}" for n in range(CATEGORIES + 10)] + ["zz", "zz"]
    kept = vocabulary(pa.table({"c": values}), ["c"])["c"]
    assert len(kept) == CATEGORIES
    assert kept[0] == "c000"
    assert kept[-1] == "zz"
