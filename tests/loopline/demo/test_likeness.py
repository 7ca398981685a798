"""Two runs are compared by what they hold."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa

from loopline.demo.likeness import Asked, _rounded, differing, raw_hash
from loopline.platform_core.foundation.names import ARRIVAL, DATE, SEQUENCE


def test_what_only_one_run_has_or_has_otherwise_is_named(tmp_path: Path) -> None:
    """A hash that is another one, is missing, or came to be, is a difference; the same ones are none."""
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"rows": "a", "features": "b", "gone": "c"}))
    assert differing({"rows": "a", "features": "x", "new": "d"}, other) == ["features", "gone", "new"]
    assert differing({"rows": "a", "features": "b", "gone": "c"}, other) == []


def test_the_order_in_which_a_sum_was_added_up_makes_no_other_rows() -> None:
    """The last bits of a number say nothing; its eighth digit does, and what is no number is as it is."""
    assert [*map(str, _rounded(pa.table({"spend": [-0.0, 0.0]}))["spend"].to_pylist())] == ["0.0", "0.0"]
    rows = pa.table({"spend": [0.1 + 0.2, None, 1e300], "orders": [1, 2, 3], "country": ["DE", None, "GB"]})
    assert _rounded(rows).equals(_rounded(rows.set_column(0, "spend", pa.array([0.3, None, 1e300]))))
    assert not _rounded(rows).equals(_rounded(rows.set_column(0, "spend", pa.array([0.30000001, None, 1e300]))))
    assert _rounded(rows).drop_columns(["spend"]).equals(rows.drop_columns(["spend"]))


def test_how_many_files_landed_at_once_makes_no_other_rows() -> None:
    """Files that a slow machine lands together and a fast one one by one hold the same rows."""
    day = pa.array([date(2011, 1, 1)] * 3)
    rows = pa.table({"order": [1, 2, 3], ARRIVAL: ["a", "b", "c"], DATE: day, SEQUENCE: [1, 1, 1]})
    slow = raw_hash(rows)
    assert slow == raw_hash(rows.set_column(3, SEQUENCE, pa.array([1, 2, 3])).take([2, 0, 1]))
    assert slow != raw_hash(rows.set_column(0, "order", pa.array([1, 2, 4])))


def test_nothing_is_hashed_unless_asked_for(tmp_path: Path) -> None:
    """The laptop's demo stays as quick as it is."""
    assert not Asked()
    assert Asked(write=tmp_path)
    assert Asked(like=tmp_path)
