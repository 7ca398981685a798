"""What a shadow said is in the log beside what callers were answered; each reader takes it for what it is."""

from __future__ import annotations

from shutil import rmtree

import pytest

from loopline.platform_core.foundation.names import prediction_table
from loopline.platform_core.monitor.drift import drift
from loopline.platform_core.monitor.drift.answers import answers
from loopline.platform_core.monitor.quality.predictions import compact, spool
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.monitor.skew import skew


def shadow(shop, version: str, score: float | None = None) -> None:
    """Repeat every request of the log through a version."""
    rows = [row for row in shop.serving._log[shop.ref.dotted] if row["role"] != "shadow"]
    said = {"role": "shadow", "version": version}
    shop.serving.log([row | said | ({} if score is None else {"score": score}) for row in rows])


@pytest.fixture
def shadowed(shop):
    """Answer 600 requests by version 1, each repeated through version 2; version 1 was a shadow of something once."""
    shop.deploy()
    shop.answer(600)
    shadow(shop, "2")
    shadow(shop, "1", score=0.99)
    return shop


def test_both_rows_of_a_request_come_into_the_lake_once(shadowed) -> None:
    """Also when the spool is lost, and the log is read from its start again."""
    first = compact(shadowed.platform, shadowed.team, shadowed.model)
    assert first.rows == 1800
    rmtree(spool(shadowed.platform, shadowed.ref))
    shadowed.answer(1)
    again = compact(shadowed.platform, shadowed.team, shadowed.model)
    rows = shadowed.platform.lake.read(prediction_table(*shadowed.ref))
    assert (again.rows, rows.num_rows) == (1, 1801)
    assert sorted(set(rows["role"].to_pylist())) == ["shadow", "stable"]


def test_drift_and_skew_look_at_what_callers_met(shadowed) -> None:
    """A version that was a shadow before is judged on its answers alone; the columns asked for are those given."""
    compact(shadowed.platform, shadowed.team, shadowed.model)
    rows = answers(shadowed.platform.lake, shadowed.ref, "1", None)
    assert rows.num_rows == 600
    assert "role" not in rows.column_names
    assert set(rows["score"].to_pylist()).isdisjoint({0.99})
    assert answers(shadowed.platform.lake, shadowed.ref, "2", None).num_rows == 0
    watched = drift.watch(shadowed.platform, shadowed.team, shadowed.model)
    assert [window.rows for window in watched.windows] == [600]
    asked = answers(shadowed.platform.lake, shadowed.ref, "2", None, columns=skew.LOGGED)
    assert asked.num_rows == 0


def test_a_shadow_has_a_quality_of_its_own(shop) -> None:
    """Before any caller met it: what it would have answered, held against labels; then what they met alone counts."""
    shop.answer_scores([0.9, 0.8, 0.3, 0.1])
    rows = shop.serving._log[shop.ref.dotted]
    shop.serving.log([row | {"role": "shadow", "version": "2", "score": 1 - row["score"]} for row in rows])
    shop.serving.log([row | {"role": "shadow", "version": "1", "score": 0.5} for row in rows[:4]])
    shop.settle([1, 1, 0, 0], settled_at=shop.start)
    compact(shop.platform, shop.team, shop.model)
    one, two = measured(shop.platform, shop.team, shop.model).versions
    assert [
        (one.version, one.predictions, one.figures["roc_auc"]),
        (two.version, two.predictions, two.figures["roc_auc"]),
    ] == [
        ("1", 4, 1.0),
        ("2", 4, 0.0),
    ]
