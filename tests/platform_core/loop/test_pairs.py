"""Callers' rows and the replays of the same requests find each other, whatever callers call their requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from loopline.platform_core.loop.rollouts import pairs
from loopline.platform_core.runtime.prediction_log.log_table import schema

T0 = datetime(2011, 3, 1, tzinfo=UTC)
VERSIONS = ("2", "1")


def row(name, version, role, score, **more):
    """Return a row of the log; replays come a minute later."""
    late = timedelta(minutes=role == "shadow")
    told = {"request_id": name, "row": 0, "event_time": T0, "asked_at": T0, "keys": f'{{"c": "{name}"}}', "status": 200}
    return told | {"version": version, "role": role, "score": score, "logged_at": T0 + late} | more


def paired(*rows):
    """Pair rows of a log."""
    return pairs.of(pa.Table.from_pylist(list(rows), schema=schema()), VERSIONS)


def test_both_ways_give_candidate_and_stable():
    """Whichever of both answered the caller."""
    found = paired(
        row("a", "1", "stable", 0.1),
        row("b", "2", "candidate", 0.2),
        row("a", "2", "shadow", 0.3),
        row("b", "1", "shadow", 0.4),
    )
    assert found.scores.candidate.tolist() == [0.3, 0.2]
    assert found.scores.stable.tolist() == [0.1, 0.4]


def test_replays_come_in_their_order_whatever_comes_later():
    """A replay of an early request that comes late is the last pair."""
    found = paired(
        *(row(name, "1", "stable", 0.5) for name in "abc"),
        row("b", "2", "shadow", 0.2),
        row("c", "2", "shadow", 0.3),
        row("a", "2", "shadow", 0.1, logged_at=T0 + timedelta(hours=1)),
    )
    assert found.scores.candidate.tolist() == [0.2, 0.3, 0.1]


def test_what_has_no_other_side_is_no_pair():
    """A failure of one side, a third version, a request that was not replayed, a replay of a request of before."""
    found = paired(
        row("a", "1", "stable", 0.1),
        row("b", "1", "stable", None, status=500),
        row("c", "3", "stable", 0.1),
        row("b", "2", "shadow", 0.2),
        row("c", "2", "shadow", 0.2),
        row("d", "2", "shadow", 0.2),
    )
    assert (len(found.scores.candidate), len(found.latency_ms.candidate), len(found.labels)) == (0, 0, 0)


def test_requests_that_callers_name_alike_are_told_apart_or_left_out():
    """By entity and time; where these are the same too nobody knows whose replay it is."""
    other = {"keys": '{"c": "z"}'}
    found = paired(
        row("x", "1", "stable", 0.1),
        row("x", "1", "stable", 0.2, **other),
        row("y", "1", "stable", 0.3),
        row("y", "1", "stable", 0.4),
        row("x", "2", "shadow", 0.5, **other),
        row("x", "2", "shadow", 0.6),
        row("y", "2", "shadow", 0.7),
        row("y", "2", "shadow", 0.8),
    )
    assert sorted(zip(found.scores.candidate.tolist(), found.scores.stable.tolist(), strict=True)) == [
        (0.5, 0.2),
        (0.6, 0.1),
    ]


def test_of_a_version_that_is_back_both_replays_and_answers_are_kept_apart():
    """A shadow's row never pairs with its own version's answer."""
    assert not len(paired(row("a", "1", "stable", 0.1), row("a", "1", "shadow", 0.9)).scores.candidate)


def test_a_request_of_many_rows_has_many_scores_and_one_time():
    """Rows of one request wait together; only what was timed side by side is compared."""
    timed = {"latency_ms": 3.0, "beside_ms": 2.0}
    found = paired(
        *(row("a", "2", "candidate", 0.1 * n, row=n) for n in range(3)),
        *(row("a", "1", "shadow", 0.2 * n, row=n, **timed) for n in range(3)),
        row("b", "1", "stable", 0.1),
        row("b", "2", "shadow", 0.2, latency_ms=7.0),
    )
    assert len(found.scores.candidate) == 4
    assert (found.latency_ms.candidate.tolist(), found.latency_ms.stable.tolist()) == ([2.0], [3.0])


@pytest.mark.parametrize("name", ["asked_at", "beside_ms"])
def test_logs_of_before_are_paired(name):
    """Where the asking was not noted yet, and where a vendor times nothing side by side."""
    rows = [row("a", "1", "stable", 0.1, asked_at=None), row("a", "2", "shadow", 0.2, asked_at=None)]
    table = pa.Table.from_pylist(rows, schema=schema())
    found = pairs.of(table.drop_columns([name]) if name == "beside_ms" else table, VERSIONS)
    assert (found.scores.candidate.tolist(), len(found.latency_ms.stable)) == ([0.2], 0)
