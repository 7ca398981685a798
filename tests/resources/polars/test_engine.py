"""Polars keeps the engine's promises, also against a plain reading of what point in time means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_core.contracts.engine import ViewRows
from platform_core.testing.engine import EngineKit
from platform_core.testing.engine_tables import asked, joined, offline_rows, spending
from resources.polars.engine import PolarsEngine

Row = tuple[int | None, int, int, float]
Ask = tuple[int | None, int | None]


@pytest.fixture
def engine() -> PolarsEngine:
    """Make the engine."""
    return PolarsEngine()


class TestPolarsEngine(EngineKit):
    """Promises two to eight; the first is tested with the landing of rows."""


def as_anyone_would(asks: Sequence[Ask], rows: Sequence[Row], ttl_hours: int | None) -> list[float | None]:
    """Look through every row for each ask."""
    found: list[float | None] = []
    for customer, hour in asks:
        known = [
            r for r in rows if None not in (customer, hour) and r[0] == customer and max(r[1], r[2]) <= (hour or 0)
        ]
        newest = max(known, key=lambda r: (r[1], r[2]), default=None)
        fresh = newest is not None and (ttl_hours is None or (hour or 0) - newest[1] <= ttl_hours)
        found.append(newest[3] if newest and fresh else None)
    return found


hours = st.integers(0, 12)
customers = st.sampled_from([1, 2, None])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(customers, hours, hours, st.integers().map(lambda n: float(n % 100))),
        max_size=25,
        unique_by=lambda r: r[:3],
    ),
    asks=st.lists(st.tuples(customers, st.none() | hours), min_size=1, max_size=15),
    ttl_hours=st.none() | st.integers(0, 8),
)
def test_point_in_time_is_what_anyone_would_look_up(rows: list[Row], asks: list[Ask], ttl_hours: int | None) -> None:
    """The one sorted join gives what a search through every row gives, whatever the events and creations."""
    view = replace(spending, ttl_days=None if ttl_hours is None else ttl_hours / 24)
    table = offline_rows(*rows) if rows else offline_rows((1, 0, 0, 0.0)).slice(0, 0)
    found = joined(PolarsEngine(), asked(*asks), ViewRows(view, table))
    assert [row["spend"] for row in found] == as_anyone_would(asks, rows, ttl_hours)
