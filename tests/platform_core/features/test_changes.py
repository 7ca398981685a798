"""What counts as news among computed feature rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.features.compute.changes import last_of_each, news
from loopline.platform_core.testing.engines.engine_tables import at


def table(feature: Any, created: float = 0) -> pa.Table:
    """Make one row with one feature."""
    instant = pa.timestamp("us", "UTC")
    times = {"event_time": pa.array([at(0)], instant), "created_at": pa.array([at(created)], instant)}
    return pa.table({"customer": [1], **times, "feature": feature})


@pytest.mark.parametrize(
    ("held", "computed", "is_news"),
    [
        ([1.0], [1.0], False),
        ([0.1 + 0.2], [0.3], False),
        ([1.0], [1.0001], True),
        ([0.0], [1e-20], False),
        (pa.array([None], pa.float64()), [1.0], True),
        ([1.0], pa.array([None], pa.float64()), True),
        (pa.array([None], pa.float64()), pa.array([None], pa.float64()), False),
        (["a"], ["a"], False),
        (["a"], ["b"], True),
        (["a"], pa.array([None], pa.string()), True),
        (pa.array([None], pa.string()), pa.array([None], pa.string()), False),
        ([2**53], [2**53 + 1], True),
        ([True], [False], True),
    ],
)
def test_only_another_value_is_news(held: Any, computed: Any, is_news: bool) -> None:
    """Nulls equal nulls, the last bits of a sum do not matter, and whole numbers count to the last one."""
    assert len(news(table(computed), table(held), "customer").rows) == is_news


def test_the_newest_row_held_decides() -> None:
    """A value that went from 1 to 2 and is computed as 1 again is news, and comes with the row it replaces."""
    held = pa.concat_tables([table([1.0], 0), table([2.0], 5), table([1.5], 3)])
    found = news(table([1.0], 9), held, "customer")
    assert found.before["created_at"].to_pylist() == [at(5)]
    assert found.rows["created_at"].to_pylist() == [at(9)]
    assert len(news(table([2.0], 9), held, "customer").rows) == 0


def test_an_unknown_row_comes_with_nulls() -> None:
    """Against an empty table everything is news."""
    found = news(table([1.0]), table([1.0]).slice(0, 0), "customer")
    assert found.before.to_pylist() == [{"customer": None, "event_time": None, "created_at": None, "feature": None}]


def test_last_of_each_keeps_one_row_a_key() -> None:
    """The row whose ``by`` is largest stays, whole."""
    rows = pa.table({"key": ["a", "b", "a"], "by": [2, 1, 3], "value": ["x", "y", None]})
    assert sorted(last_of_each(rows, ["key"], by="by").to_pylist(), key=str) == [
        {"key": "a", "by": 3, "value": None},
        {"key": "b", "by": 1, "value": "y"},
    ]
