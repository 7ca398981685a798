"""Requests by day, counted once as the prediction log grows, on both kinds of lake."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import DATE, ModelRef, prediction_table
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.resources.delta.lake import DeltaLake
from loopline.scorecard import traffic

REF, OTHER = ModelRef("shop", "churn"), ModelRef("bank", "fraud")
DAY = datetime(2026, 1, 5, tzinfo=UTC)


def rows(*asked, day=0):
    """Return rows of the log: (status, milliseconds) each, or (status, milliseconds, row, role)."""
    full = [(*one, *(0, "stable")[len(one) - 2 :]) for one in asked]
    return pa.table(
        {
            DATE: pa.array([(DAY + timedelta(days=day)).date()] * len(full), pa.date32()),
            "row": pa.array([one[2] for one in full], pa.int32()),
            "logged_at": pa.array(
                [DAY + timedelta(days=day, seconds=i) for i in range(len(full))], pa.timestamp("us", "UTC")
            ),
            "role": [one[3] for one in full],
            "status": pa.array([one[0] for one in full], pa.int32()),
            "latency_ms": pa.array([one[1] for one in full], pa.float64()),
        }
    )


@pytest.fixture(params=["memory", "delta"])
def lake(request, tmp_path):
    """Give an empty lake of each kind."""
    return InMemoryLake() if request.param == "memory" else DeltaLake(root=str(tmp_path / "lake"))


def test_what_callers_met_is_counted_by_day(lake):
    """Two days; a second row of a request is no request, the caller's own mistake and a shadow's answer are neither."""
    asked = ((200, 1.0), (200, 1.0, 1, "stable"), (500, 3.0), (400, 1.0), (200, 9.0, 0, "shadow"))
    lake.append(prediction_table(*REF), rows(*asked))
    lake.append(prediction_table(*REF), rows((200, 5.0, 0, "candidate"), day=1))
    assert traffic.count(lake, [REF, OTHER]) == 6
    first, second = traffic.days(lake)
    assert (first.ref, first.day, first.requests, first.errors, first.rows) == (REF, date(2026, 1, 5), 2, 1, 3)
    assert (first.milliseconds, int(first.buckets.sum())) == (4.0, 2)
    assert (second.day, second.requests, second.errors) == (date(2026, 1, 6), 1, 0)
    assert [each.day for each in traffic.days(lake, [date(2026, 1, 6)])] == [date(2026, 1, 6)]


def test_what_came_since_is_added_and_nothing_is_counted_twice(lake):
    """Three calls over two appends: the second append adds to the day, a call with nothing new adds nothing."""
    lake.append(prediction_table(*REF), rows((200, 1.0), (200, 2.0)))
    lake.append(prediction_table(*OTHER), rows((200, 7.0)))
    assert traffic.count(lake, [REF, OTHER]) == 3
    assert traffic.count(lake, [REF, OTHER]) == 0
    lake.append(prediction_table(*REF), rows((500, 3.0)))
    assert traffic.count(lake, [REF, OTHER]) == 1
    other, own = traffic.days(lake)
    assert (own.requests, own.errors, own.milliseconds) == (3, 1, 6.0)
    assert (other.ref, other.requests) == (OTHER, 1)


class Forgetful(InMemoryLake):
    """A lake that cannot tell any more what came after a version, until it is told that it can."""

    def read(self, table, *, newer_than=None, **more):
        """Refuse to tell what is new."""
        if newer_than is not None and self.name:
            raise NotFound("let go", "read it whole")
        return super().read(table, newer_than=newer_than, **more)


def test_a_table_that_forgot_is_counted_anew():
    """Its days are those of the whole table then, and what comes later is added to them."""
    lake = Forgetful(name="forgetful")
    lake.append(prediction_table(*REF), rows((200, 1.0), (200, 1.0)))
    traffic.count(lake, [REF])
    for _ in range(2):
        lake.append(prediction_table(*REF), rows((200, 1.0)))
        traffic.count(lake, [REF])
    (day,) = traffic.days(lake)
    assert (day.requests, day.milliseconds) == (4, 4.0)
    object.__setattr__(lake, "_own", lake.held)
    lake.name = ""
    lake.append(prediction_table(*REF), rows((200, 1.0)))
    traffic.count(lake, [REF])
    assert [each.requests for each in traffic.days(lake)] == [5]


def test_a_quantile_of_added_days_is_within_two_per_cent(lake):
    """Of 20,000 latencies over two appends the quantiles are numpy's, 2 % off at most; of nothing there is none."""
    drawn = np.random.default_rng(7).lognormal(1.0, 1.2, 20_000)
    for part in (drawn[:5_000], drawn[5_000:]):
        lake.append(prediction_table(*REF), rows(*((200, value) for value in part)))
        traffic.count(lake, [REF])
    (day,) = traffic.days(lake)
    for share in (0.5, 0.95, 0.99):
        exact = np.quantile(drawn, share, method="inverted_cdf")
        assert traffic.quantile(day.buckets, share) == pytest.approx(exact, rel=0.0201)
    assert traffic.quantile(day.buckets * 0, 0.5) is None


def test_latencies_beyond_all_buckets_fall_into_the_last(lake):
    """A clock that stood still and a request of an hour are counted, and seen as the least and the most."""
    lake.append(prediction_table(*REF), rows((200, 0.0), (200, 3.6e6)))
    traffic.count(lake, [REF])
    (day,) = traffic.days(lake)
    assert (day.buckets[0], day.buckets[-1], day.buckets.sum()) == (1, 1, 2)
