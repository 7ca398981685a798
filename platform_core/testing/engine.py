"""Holds an engine to its promises from the second on; the first has a kit of its own (``engine_rows``).

Subclass ``EngineKit`` and give the fixture ``engine``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from platform_core.contracts.engine import Engine, ViewRows
from platform_core.errors import ContractBroken, InvalidSpec, TaskFailed
from platform_core.specs import Source, feature_view, labels

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

ORDERS = Source("orders", contract="orders.yaml")


def at(hours: float) -> datetime:
    """Count hours from the start of 2020."""
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hours)


@feature_view(ORDERS, entity="customer", time="ordered_at", ttl_days=1)
def spending(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend so far, number of orders, and the first article in the alphabet."""
    import narwhals as nw

    moments = orders.group_by("customer", "ordered_at").agg(
        nw.col("amount").sum(), orders=nw.len(), article=nw.col("article").min()
    )
    so_far = nw.col("amount").cum_sum().over("customer", order_by="ordered_at")
    return moments.select("customer", "ordered_at", "article", "orders", spend=so_far)


@labels(ORDERS, entities=("customer",), time="ordered_at", label="large", known_at="later", segments=("article",))
def large_order(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether it is larger than 2, known two hours later."""
    import narwhals as nw

    return orders.with_columns(large=nw.col("amount") > 2, later=nw.col("ordered_at").dt.offset_by("2h"))


def raw_orders(*rows: tuple[int | None, float, float, float, str]) -> pa.Table:
    """Make accepted rows of (customer, hour, arrival's hour, amount, article)."""
    import pyarrow as pa

    instant, columns = pa.timestamp("us", "UTC"), list(zip(*rows, strict=True))
    return pa.table(
        {
            "customer": pa.array(columns[0], pa.int64()),
            "ordered_at": pa.array([at(hour) for hour in columns[1]], instant),
            "_arrived_at": pa.array([at(hour) for hour in columns[2]], instant),
            "amount": pa.array(columns[3], pa.float64()),
            "article": pa.array(columns[4], pa.string()),
        }
    )


def offline_rows(*rows: tuple[int | None, float, float, float | None], **renamed: str) -> pa.Table:
    """Make rows of ``spending``'s table of (customer, hour, hour of creation, spend)."""
    import pyarrow as pa

    instant, columns = pa.timestamp("us", "UTC"), list(zip(*rows, strict=True))
    made = {
        "customer": pa.array(columns[0], pa.int64()),
        "event_time": pa.array([at(hour) for hour in columns[1]], instant),
        "created_at": pa.array([at(hour) for hour in columns[2]], instant),
        "spend": pa.array(columns[3], pa.float64()),
    }
    return pa.table({renamed.get(name, name): column for name, column in made.items()})


def asked(*rows: tuple[int | None, float | None]) -> pa.Table:
    """Make labels' rows of (customer, hour), numbered."""
    import pyarrow as pa

    times = [None if hour is None else at(hour) for _, hour in rows]
    return pa.table(
        {
            "number": list(range(len(rows))),
            "customer": pa.array([customer for customer, _ in rows], pa.int64()),
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )


def joined(engine: Engine, labels: pa.Table, *views: ViewRows) -> list[Mapping[str, Any]]:
    """Join and return rows."""
    rows: list[Mapping[str, Any]] = engine.point_in_time(labels, views).to_pylist()
    return rows


def spends(engine: Engine, labels: pa.Table, rows: pa.Table) -> Sequence[float | None]:
    """Join ``spending``'s rows and return what each label's row got."""
    return [row["spend"] for row in joined(engine, labels, ViewRows(spending, rows))]


class EngineKit:
    """Several tests a promise."""

    def test_2_one_row_per_entity_and_event_time(self, engine: Engine) -> None:
        """Columns are entity, event_time, created_at and the function's features, in plain types; null keys go."""
        import pyarrow as pa

        raw = raw_orders((1, 0, 5, 2.5, "b"), (1, 0, 5, 1.0, "a"), (1, 3, 5, 4.0, "c"), (None, 3, 5, 4.0, "d"))
        found = engine.compute_view(spending, raw)
        instant = pa.timestamp("us", "UTC")
        assert list(zip(found.schema.names, found.schema.types, strict=True)) == [
            ("customer", pa.int64()),
            ("event_time", instant),
            ("created_at", instant),
            ("article", pa.string()),
            ("orders", pa.int64()),
            ("spend", pa.float64()),
        ]
        rows = sorted(found.drop_columns("created_at").to_pylist(), key=lambda row: row["event_time"])
        assert [tuple(row.values()) for row in rows] == [(1, at(0), "a", 2, 3.5), (1, at(3), "c", 1, 7.5)]
        assert engine.compute_view(spending, raw.slice(0, 0)).schema == found.schema

    def test_2_created_when_all_it_may_rest_on_had_arrived(self, engine: Engine) -> None:
        """Not before any arrival of the entity up to the event, nor before the event; other entities do not matter."""
        raw = raw_orders(
            (1, 0, 1, 1.0, "a"), (1, 2, 9, 1.0, "a"), (1, 2, 3, 1.0, "a"), (1, 4, 5, 1.0, "a"), (2, 4, 2, 1.0, "a")
        )
        found = engine.compute_view(spending, raw).to_pylist()
        created = {(row["customer"], row["event_time"]): row["created_at"] for row in found}
        assert created == {(1, at(0)): at(1), (1, at(2)): at(9), (1, at(4)): at(9), (2, at(4)): at(4)}

    def test_2_what_the_request_brings_is_known_then(self, engine: Engine) -> None:
        """A view served from the request has ``created_at`` equal to ``event_time``, whenever the rows arrived."""
        found = engine.compute_view(replace(spending, served="request"), raw_orders((1, 0, 9, 1.0, "a")))
        assert found["created_at"].to_pylist() == found["event_time"].to_pylist() == [at(0)]

    def test_2_a_view_that_breaks_the_rules_is_refused(self, engine: Engine) -> None:
        """Repeated keys, buckets stamped with their start, times without zone, and features of no plain type."""
        import narwhals as nw

        raw = raw_orders((1, 0.5, 1, 1.0, "a"), (1, 0.5, 1, 2.0, "b"), (1, 1.5, 2, 2.0, "b"))
        hour, amount = nw.col("ordered_at").dt.truncate("1h"), nw.col("amount")
        for function in (
            lambda f: f.select("customer", "ordered_at", "amount"),
            lambda f: f.with_columns(ordered_at=hour).group_by("customer", "ordered_at").agg(amount.sum()),
            lambda f: f.select("customer", nw.col("ordered_at").dt.replace_time_zone(None), "amount").unique(),
            lambda f: f.group_by("customer", "ordered_at").agg(amount.sum(), since=nw.col("ordered_at").max() - at(0)),
        ):
            with pytest.raises(ContractBroken, match="spending"):
                engine.compute_view(replace(spending, compute=function), raw)

    def test_2_a_function_that_fails_is_named(self, engine: Engine) -> None:
        """What a function raises, at once or when its frame is collected, becomes ``TaskFailed`` with a place."""
        import narwhals as nw

        def divides(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            return orders.select(nw.lit(1 // 0))

        def unknown(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            return orders.select("customer", "nothing")

        for function in (divides, unknown):
            with pytest.raises(TaskFailed, match=r"spending.*engine\.py:\d+"):
                engine.compute_view(replace(spending, compute=function), raw_orders((1, 0, 1, 1.0, "a")))
        with pytest.raises(InvalidSpec, match="moment"):
            engine.compute_view(replace(spending, time="moment"), raw_orders((1, 0, 1, 1.0, "a")))

    def test_3_features_as_known_at_the_event(self, engine: Engine) -> None:
        """Neither a later event nor a later creation is seen, one at the very moment is; labels keep their order."""
        rows = offline_rows((1, 0, 0, 1.0), (1, 4, 6, 2.0), (1, 8, 8, 3.0), (2, 1, 1, 9.0))
        hours = (8, 7.9, 6, 5.9, 4, 0, -0.1)
        found = joined(engine, asked(*((1, hour) for hour in hours), (3, 9), (2, 9)), ViewRows(spending, rows))
        assert [row["spend"] for row in found] == [3.0, 2.0, 2.0, 1.0, 1.0, 1.0, None, None, 9.0]
        assert [row["number"] for row in found] == list(range(9))

    def test_3_an_older_event_learnt_later_is_no_news(self, engine: Engine) -> None:
        """A late row of an older event does not hide the newest event that is known."""
        rows = offline_rows((1, 4, 4, 2.0), (1, 2, 6, 1.0))
        assert spends(engine, asked((1, 5), (1, 7), (1, 3)), rows) == [2.0, 2.0, None]

    def test_3_each_view_by_its_own_entity(self, engine: Engine) -> None:
        """Several views are joined, each by its key; their features follow the labels' columns in the order given."""
        import pyarrow as pa

        labels = asked((1, 9), (2, 9)).append_column("article", pa.array(["a", "b"]))
        by_article = replace(spending, name="sales", entity="article", ttl_days=None)
        sales = offline_rows((1, 0, 0, 7.0), spend="sold").set_column(0, "article", pa.array(["b"]))
        own = ViewRows(spending, offline_rows((1, 0, 0, 1.0)))
        found = engine.point_in_time(labels, [own, ViewRows(by_article, sales)])
        assert found.column_names == ["number", "customer", "event_time", "article", "spend", "sold"]
        assert found.select(["spend", "sold"]).to_pylist() == [
            {"spend": 1.0, "sold": None},
            {"spend": None, "sold": 7.0},
        ]
        assert found.schema.types[:4] == labels.schema.types

    def test_3_times_without_zone_and_unlike_keys_are_refused(self, engine: Engine) -> None:
        """A naive time might be anyone's, and text ``"1"`` is not the number 1."""
        import pyarrow as pa

        labels, rows = asked((1, 9)), offline_rows((1, 0, 0, 1.0))
        naive = pa.timestamp("us")
        with pytest.raises(ContractBroken, match="event_time"):
            spends(engine, labels.set_column(2, "event_time", labels["event_time"].cast(naive)), rows)
        with pytest.raises(ContractBroken, match="created_at"):
            spends(engine, labels, rows.set_column(2, "created_at", rows["created_at"].cast(naive)))
        with pytest.raises(ContractBroken, match="customer"):
            spends(engine, labels.set_column(1, "customer", labels["customer"].cast(pa.string())), rows)
        with pytest.raises(InvalidSpec, match="customer"):
            spends(engine, labels.drop_columns("customer"), rows)
        with pytest.raises(InvalidSpec, match="spend"):
            joined(engine, labels, ViewRows(spending, rows), ViewRows(spending, rows))

    def test_4_the_correction_counts_once_it_is_known(self, engine: Engine) -> None:
        """Of one event's rows the one created last before the label is taken, also when its feature is null."""
        rows = offline_rows((1, 4, 9, 3.0), (1, 4, 5, 1.0), (1, 4, 7, None), (1, 4, 2, 0.5))
        assert spends(engine, asked((1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9)), rows) == [
            *(0.5, 1.0, 1.0, None, None, 3.0)
        ]

    def test_5_too_old_is_null(self, engine: Engine) -> None:
        """A row lives ``ttl_days`` from its event, that moment included, however late it was created."""
        rows = offline_rows((1, 0, 20, 1.0))
        a_bit = 1 / 3600
        assert spends(engine, asked((1, 20), (1, 24), (1, 24 + a_bit)), rows) == [1.0, 1.0, None]
        forever = ViewRows(replace(spending, ttl_days=None), rows)
        assert joined(engine, asked((1, 24 * 9999)), forever)[0]["spend"] == 1.0
        half = ViewRows(replace(spending, ttl_days=0.9), rows)
        assert [row["spend"] for row in joined(engine, asked((1, 21), (1, 22)), half)] == [1.0, None]

    def test_6_the_order_of_rows_does_not_matter(self, engine: Engine) -> None:
        """Views, labels and joins come out the same, bit for bit, from any order of rows."""
        import numpy as np

        amounts = [0.1 * n for n in range(60)]
        raw = raw_orders(*((n % 3, n // 9, n // 9 + n % 5, amounts[n], "abc"[n % 3]) for n in range(60)))
        rows = offline_rows(*((n % 3, n // 6, n // 6 + n % 4 / 4, float(n)) for n in range(60)))
        labels = asked(*((n % 3, n / 5) for n in range(60)))
        views, computed, found = [], [], []
        for seed in range(4):
            mixed = np.random.default_rng(seed).permutation(60)
            views.append(engine.compute_view(spending, raw.take(mixed)))
            computed.append(engine.compute_labels(large_order, raw.take(mixed)))
            out = engine.point_in_time(labels.take(mixed), [ViewRows(spending, rows.take(mixed[::-1]))])
            assert out["number"].to_pylist() == mixed.tolist()
            found.append(out.sort_by("number").combine_chunks())
        for outcomes in (views, computed, found):
            assert all(outcome.equals(outcomes[0]) for outcome in outcomes)

    def test_7_a_null_key_joins_nothing(self, engine: Engine) -> None:
        """Neither a null key, not even with another null, nor a null time has features; their rows stay."""
        rows = offline_rows((None, 0, 0, 1.0), (1, 0, 0, 2.0))
        assert spends(engine, asked((None, 1), (1, None), (1, 1)), rows) == [None, None, 2.0]
        assert spends(engine, asked((None, 1)), rows.slice(0, 0)) == [None]

    def test_8_labels_in_the_platforms_words(self, engine: Engine) -> None:
        """Entities, event_time, label (float64), known_at and segments, and nothing else; null stays null."""
        import pyarrow as pa

        raw = raw_orders((1, 0, 1, 3.0, "a"), (2, 1, 1, 2.0, "b"), (3, 2, 2, 1.0, "c"))
        raw = raw.set_column(3, "amount", pa.array([3.0, 2.0, None]))
        found = engine.compute_labels(large_order, raw)
        instant = pa.timestamp("us", "UTC")
        assert list(zip(found.schema.names, found.schema.types, strict=True)) == [
            ("customer", pa.int64()),
            ("event_time", instant),
            ("label", pa.float64()),
            ("known_at", instant),
            ("article", pa.string()),
        ]
        assert [tuple(row.values()) for row in sorted(found.to_pylist(), key=lambda row: row["customer"])] == [
            (1, at(0), 1.0, at(2), "a"),
            (2, at(1), 0.0, at(3), "b"),
            (3, at(2), None, at(4), "c"),
        ]

    def test_8_labels_other_than_0_and_1_are_refused(self, engine: Engine) -> None:
        """A label that is a number of its own, or a column that is not there, is the team's mistake."""
        raw = raw_orders((1, 0, 1, 3.0, "a"))
        with pytest.raises(ContractBroken, match=r"large_order.*3"):
            engine.compute_labels(replace(large_order, label="amount"), raw)
        with pytest.raises(InvalidSpec, match=r"large_order.*'market'"):
            engine.compute_labels(replace(large_order, segments=("market",)), raw)
