"""Engine kit, promise nine: generated histories with late, repeated, corrected, null and tied rows.

Subclass ``EngineHistoriesKit`` and give the fixtures ``engine`` and ``reference``. For an engine that takes long to
start a query (``SLOW``) the histories become one, each with customers of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loopline.platform_core.contracts.engine import Engine, ViewRows
from loopline.platform_core.testing.engines.engine_tables import asked, at, joined, offline_rows, spending
from loopline.platform_core.testing.engines.engine_views import VIEWS, sold_again

if TYPE_CHECKING:
    import pyarrow as pa

Sale = tuple[int | None, int, int, int | None, float | None, str | None, bool | None]
Row = tuple[int | None, int, int, float]
Ended = tuple[int | None, int, int, float, bool]
"""A row, and whether it says that there is none."""
Ask = tuple[int | None, int | None]
ARTICLES = ["apple", "Birne", "çerez", "", None]


def sales(customers: int) -> st.SearchStrategy[list[Sale]]:
    """Draw sales of (customer, hour, hours until it arrived, quantity, amount, article, paid); some come twice."""
    sale = st.tuples(
        st.sampled_from([None, *range(customers)]),
        st.integers(0, 60),
        st.integers(0, 30),
        st.none() | st.integers(-5, 9),
        st.none() | st.integers(-99, 999).map(lambda cents: cents / 100),
        st.sampled_from(ARTICLES),
        st.sampled_from([None, True, False]),
    )
    some = st.lists(sale, min_size=5 * customers, max_size=10 * customers)
    return some.flatmap(lambda rows: st.lists(st.sampled_from(rows), max_size=5).map(lambda twice: rows + twice))


def raw_sales(rows: Sequence[Sale]) -> pa.Table:
    """Make accepted rows."""
    import pyarrow as pa

    instant, columns = pa.timestamp("us", "UTC"), list(zip(*rows, strict=True))
    return pa.table(
        {
            "customer": pa.array(columns[0], pa.int64()),
            "sold_at": pa.array([at(hour) for hour in columns[1]], instant),
            "_arrived_at": pa.array([at(row[1] + row[2]) for row in rows], instant),
            "quantity": pa.array(columns[3], pa.int64()),
            "amount": pa.array(columns[4], pa.float64()),
            "article": pa.array(columns[5], pa.string()),
            "paid": pa.array(columns[6], pa.bool_()),
        }
    )


def assert_same(actual: pa.Table, expected: pa.Table) -> None:
    """Compare types and values in their order: bit for bit, but for fractions that were added or divided (1e-9)."""
    assert actual.schema.equals(expected.schema), f"{actual.schema} is not {expected.schema}"
    assert len(actual) == len(expected)
    for name in expected.column_names:
        assert _same(actual[name], expected[name], name), f"{name}: {actual[name]} is not {expected[name]}"


def _same(found: pa.ChunkedArray, expected: pa.ChunkedArray, name: str) -> bool:
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_floating(expected.type) or name.startswith("whole_"):
        return bool(found.equals(expected))
    nulls = found.is_null().equals(expected.is_null())
    return nulls and np.allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-9, atol=1e-12, equal_nan=True)


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


def as_anyone_would_of_what_is(asks: Sequence[Ask], rows: Sequence[Ended]) -> list[float | None]:
    """Look through every row for each ask, and leave out what was no more by then."""
    found: list[float | None] = []
    for customer, hour in asks:
        by_event: dict[int, Ended] = {}
        for row in sorted(rows, key=lambda r: r[2]):
            if None not in (customer, hour) and row[0] == customer and max(row[1], row[2]) <= (hour or 0):
                by_event[row[1]] = row
        left = [row for row in by_event.values() if not row[4]]
        found.append(max(left, key=lambda r: r[1])[3] if left else None)
    return found


def glued(histories: Sequence[Sequence[Sale]]) -> list[Sale]:
    """Make one history of several; each keeps its own customers, articles they share."""
    return [
        (None if sale[0] is None else 100 * number + sale[0], *sale[1:])
        for number, history in enumerate(histories)
        for sale in history
    ]


def drawn(holds: Callable[[Any], None], histories: st.SearchStrategy[Any], examples: int) -> None:
    """Try a claim on so many histories, the same ones in every run; the first that refutes it is shown as it is."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    chosen(given(histories)(lambda history: holds(history)))()  # noqa: PLW0108 - Hypothesis reads a function's code


class EngineHistoriesKit:
    """Views, labels and joins."""

    SLOW: ClassVar[bool] = False

    def test_9_views_and_labels_are_those_of_any_engine(self, engine: Engine, reference: Engine) -> None:
        """Whatever the history, types and values are the reference's."""

        def holds(rows: Sequence[Sale]) -> None:
            raw = raw_sales(rows)
            for view in VIEWS:
                assert_same(engine.compute_view(view, raw), reference.compute_view(view, raw))
            assert_same(engine.compute_labels(sold_again, raw), reference.compute_labels(sold_again, raw))

        if not self.SLOW:
            drawn(holds, sales(customers=3), examples=12)
            return
        histories: list[list[Sale]] = []
        drawn(histories.append, sales(customers=3), examples=12)
        holds(glued(histories))

    def test_9_point_in_time_is_what_anyone_would_look_up(self, engine: Engine) -> None:
        """A join gives what a search through every row gives, whatever the events, creations and limit."""
        width = 20 if self.SLOW else 2
        customers, hours = st.sampled_from([None, *range(width)]), st.integers(0, 12)
        row = st.tuples(customers, hours, hours, st.integers(0, 99).map(float))
        rows = st.lists(row, min_size=1, max_size=12 * width, unique_by=lambda r: r[:3])
        asks = st.lists(st.tuples(customers, st.none() | hours), min_size=1, max_size=8 * width)

        def holds(history: tuple[list[Row], list[Ask], int | None]) -> None:
            rows, asks, ttl_hours = history
            view = replace(spending, ttl_days=None if ttl_hours is None else ttl_hours / 24)
            found = joined(engine, asked(*asks), ViewRows(view, offline_rows(*rows)))
            assert [row["spend"] for row in found] == as_anyone_would(asks, rows, ttl_hours)

        drawn(holds, st.tuples(rows, asks, st.none() | st.integers(0, 8)), examples=4 if self.SLOW else 60)

    def test_10_what_is_no_more_is_not_taken(self, engine: Engine) -> None:
        """Rows end, come again and end again; whatever the order, a search through all gives what the join gives."""
        import pyarrow as pa

        width = 20 if self.SLOW else 2
        customers, hours = st.sampled_from([None, *range(width)]), st.integers(0, 12)
        row = st.tuples(customers, hours, hours, st.integers(0, 99).map(float), st.booleans())
        rows = st.lists(row, min_size=1, max_size=12 * width, unique_by=lambda r: r[:3])
        asks = st.lists(st.tuples(customers, st.none() | hours), min_size=1, max_size=8 * width)

        def holds(history: tuple[list[Ended], list[Ask]]) -> None:
            rows, asks = history
            told = offline_rows(*(row[:4] for row in rows)).append_column("_gone", pa.array([row[4] for row in rows]))
            found = joined(engine, asked(*asks), ViewRows(replace(spending, ttl_days=None), told))
            assert [row["spend"] for row in found] == as_anyone_would_of_what_is(asks, rows)

        drawn(holds, st.tuples(rows, asks), examples=4 if self.SLOW else 60)
