"""Generated histories, joined by us and by Feast's own ``get_historical_features``: equal wherever Feast is right."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from benchmarks.peers.histories import History, history, in_reach
from loopline.platform_core.contracts.engine import Engine
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME
from loopline.resources.duckdb.engine import DuckdbEngine
from loopline.resources.polars.engine import PolarsEngine

HISTORIES = [
    history(1, 2.0, text_keys=False, late_share=0.3),
    history(2, 2.0, text_keys=True, late_share=0.3),
    history(3, None, text_keys=False, late_share=0.3),
    history(4, 0.5, text_keys=True, late_share=0.9),
    history(5, 4.0, text_keys=False, late_share=0.05),
    history(6, 4.0, text_keys=True, late_share=0.0),
]
each_history = pytest.mark.parametrize("one", HISTORIES, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def answers(ask, asked, tmp_path_factory):
    """Ask about each history as Feast comes, and for known values only."""
    questions = [asked(one, known) for one in HISTORIES for known in (False, True)]
    return ask(tmp_path_factory.mktemp("feast"), questions)


def test_histories_hold_every_hard_case() -> None:
    """They have late rows, corrections, nulls, and labels at the very moment of a row and of its end."""
    rows = [row for one in HISTORIES for row in one.rows.to_pylist()]
    labels = [(one, row) for one in HISTORIES for row in one.labels.to_pylist()]
    assert sum(row[CREATED_AT] > row[EVENT_TIME] for row in rows if row[EVENT_TIME]) > 500
    assert len({(one.name, row["key"], row[EVENT_TIME]) for one in HISTORIES for row in one.rows.to_pylist()}) < len(
        rows
    )
    assert all(any(row[name] is None for row in rows) for name in ("key", EVENT_TIME, *HISTORIES[0].features))
    assert all(any(row[name] is None for _, row in labels) for name in ("key", EVENT_TIME))
    assert sum(_just_valid(one, label) for one, label in labels) > 20


@pytest.mark.parametrize("engine", [PolarsEngine(), DuckdbEngine()], ids=["polars", "duckdb"])
@each_history
def test_equal_on_every_row_when_asked_for_known_values(answers, one: History, engine: Engine) -> None:
    """With ``filter_by_created_timestamp`` Feast gives what we always give: every row, every feature."""
    ours = answers.ours(one, engine)
    assert sum(any(value is not None for value in row) for row in ours) > 50
    assert ours == answers.feast(one, known=True)


@each_history
def test_equal_as_it_comes_where_nothing_unknown_is_in_reach(answers, one: History) -> None:
    """As Feast comes it is right for each label in whose reach no row was created too late; there we are equal."""
    ours, theirs = answers.ours(one), answers.feast(one)
    right = [number for number, label in enumerate(one.labels.to_pylist()) if not _unknown(one, label)]
    assert len(right) > 50
    assert [ours[number] for number in right] == [theirs[number] for number in right]


def test_elsewhere_it_gives_what_nobody_knew(answers) -> None:
    """Where Feast differs as it comes, its answer is a row that was created only after the label's time."""
    leaks = 0
    for one in HISTORIES:
        for label, mine, other in zip(one.labels.to_pylist(), answers.ours(one), answers.feast(one), strict=True):
            if mine != other:
                newest = max(in_reach(one, label), key=lambda row: (row[EVENT_TIME], row[CREATED_AT]))
                assert other == tuple(newest[name] for name in one.features)
                assert newest[CREATED_AT] > label[EVENT_TIME]
                leaks += 1
    assert leaks > 100


def _unknown(one: History, label: dict[str, Any]) -> bool:
    """Say whether a row in reach was created after the label's time."""
    return any(row[CREATED_AT] > label[EVENT_TIME] for row in in_reach(one, label))


def _just_valid(one: History, label: dict[str, Any]) -> bool:
    """Say whether a row in reach is exactly as old as it may be."""
    days = timedelta(days=one.view.ttl_days or 10_000)
    return any(label[EVENT_TIME] - row[EVENT_TIME] == days for row in in_reach(one, label))
