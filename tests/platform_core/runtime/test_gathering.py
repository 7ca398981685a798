"""Rows as the log keeps them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.runtime.answering.gathering import Writer

NAMES = st.lists(st.text(max_size=4), unique=True, min_size=1, max_size=3)
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5)


@given(st.data(), NAMES)
def test_each_row_is_a_json_object(data, names):
    """Whatever the names and values are: quotes, line breaks, the largest numbers."""
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(names)), max_size=3))
    expected = [
        dict(zip(names, [None if value in (float("inf"), -float("inf")) else value for value in row], strict=True))
        for row in rows
    ]
    assert [json.loads(row) for row in Writer(names)(rows)] == expected


def test_what_is_no_number_is_null():
    """JSON knows no NaN."""
    assert Writer(["a", "b"])([(float("nan"), 1.0)]) == ['{"a":null,"b":1.0}']


@pytest.mark.parametrize("name", ['"', "\\", "\n"])
def test_a_name_that_json_escapes(name):
    """It costs a little more, and is written as any other."""
    assert [json.loads(row) for row in Writer([name, "b"])([(1, "x"), (2, "y")])] == [
        {name: 1, "b": "x"},
        {name: 2, "b": "y"},
    ]
