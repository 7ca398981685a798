"""The prediction log of a step becomes two sides' traffic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from loopline.platform_core.loop.rollouts.traffic import Sides, compare, figures, of
from loopline.platform_core.runtime.prediction_log.log_table import schema

T0 = datetime(2011, 3, 1, tzinfo=UTC)


def log(*rows: tuple[str, int, float, float | None]) -> pa.Table:
    """Make a log of (version, status, latency, score), one row a request, one a second."""
    names = ("version", "status", "latency_ms", "score")
    said = [
        dict(zip(names, row, strict=True))
        | {"request_id": f"r{number}", "row": 0, "role": "stable", "logged_at": T0 + timedelta(seconds=number)}
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(said, schema=schema())


def in_shadow(table: pa.Table) -> pa.Table:
    """Say the same as a shadow."""
    place = table.schema.get_field_index("role")
    return table.set_column(place, "role", pa.array(["shadow"] * len(table), pa.string()))


class Log:
    """A serving whose cursor is a row number; it counts how many rows were read."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.read = 0

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Return rows after a cursor."""
        rows = self.table.slice(int(after or 0))
        self.read += rows.num_rows
        return rows, str(self.table.num_rows)


def test_errors_are_requests_without_a_score():
    """They count as requests, and their latency as well."""
    found = of(log(("1", 200, 2.0, 0.5), ("1", 503, 9.0, None), ("2", 200, 1.0, 0.1)), "1")
    assert (found.requests, found.errors) == (2, 1)
    assert found.latency_ms.tolist() == [2.0, 9.0]
    assert found.scores.tolist() == [0.5]


def test_a_shadows_traffic_is_not_a_callers():
    """Of one version both may be in the log: shadowed first, then in front of callers."""
    both = pa.concat_tables([log(("2", 200, 2.0, 0.5)), in_shadow(log(("2", 200, 9.0, 0.1), ("2", 500, 9.0, None)))])
    assert of(both, "2").scores.tolist() == [0.5]
    shadow = of(both, "2", shadow=True)
    assert (shadow.requests, shadow.errors, shadow.scores.tolist()) == (2, 1, [0.1])


def test_the_callers_own_mistakes_count_neither_way():
    """A 404 is no error of the version, and no request that would make it enough."""
    found = of(log(("1", 404, 1.0, None), ("1", 400, 1.0, None), ("1", 200, 1.0, 0.5)), "1")
    assert (found.requests, found.errors, len(found.latency_ms)) == (1, 0, 1)


def test_no_traffic_is_nothing_and_not_an_error():
    """Of an empty log, and of a version that answered nothing."""
    for table in (log(), log(("2", 200, 1.0, 0.1))):
        found = of(table, "1")
        assert (found.requests, found.errors, len(found.latency_ms), len(found.scores)) == (0, 0, 0, 0)
        assert figures(found) == {"requests": 0, "errors": 0}


def test_figures_are_short():
    """What the ledger keeps of a step."""
    found = of(log(*[("1", 200, float(ms), 0.25) for ms in range(1, 101)], ("1", 500, 7.0, None)), "1")
    assert figures(found) == {"requests": 101, "errors": 1, "p99_ms": pytest.approx(99.0, abs=0.5), "mean_score": 0.25}


@pytest.mark.parametrize("paired", [True, False])
def test_no_other_week_stands_in_where_the_step_has_too_little_stable_traffic(paired):
    """What was answered before the step is not read, with or without replays."""
    old = [("1", 200, 1.0, 0.5)] * 2 + [("2", 200, 1.0, 0.1)] * 3
    serving = Log(log(*old, *old, *[("2", 200, 1.0, 0.9)] * 3, *[("1", 200, 1.0, 0.5)] * 2))
    compared = compare(*serving.predictions("m", "10"), Sides(("2", "1"), enough=3, paired=paired))
    assert (compared.candidate.requests, compared.stable.requests) == (3, 2)
    assert (serving.read, compared.cursor) == (5, "15")
    assert (compared.candidate.pairs is None) is not paired


def test_what_fails_or_waits_together_is_one_case():
    """A request of three rows has one latency and one error, and three scores."""
    asked = {"request_id": "r", "version": "1", "role": "stable", "status": 200, "latency_ms": 80.0, "logged_at": T0}
    rows = [asked | {"row": row, "score": 0.5} for row in range(3)]
    failed = [asked | {"request_id": "s", "row": row, "status": 500} for row in range(3)]
    found = of(pa.Table.from_pylist([*rows, *failed], schema=schema()), "1")
    assert (found.requests, found.errors, found.latency_ms.tolist()) == (2, 1, [80.0, 80.0])
    assert found.scores.tolist() == [0.5] * 3


def test_traffic_is_in_order_of_answering_whichever_worker_logged_it():
    """Each worker has a log of its own; a look at the first rows must find the same ones again when more have come."""
    one = log(("1", 200, 1.0, 0.1), ("2", 200, 1.0, 0.0), ("1", 200, 1.0, 0.3))
    other = log(("2", 200, 1.0, 0.0), ("1", 200, 1.0, 0.2))
    assert of(pa.concat_tables([one, other]), "1").scores.tolist() == [0.1, 0.2, 0.3]
    assert of(pa.concat_tables([other, one]), "1").scores.tolist() == [0.1, 0.2, 0.3]
