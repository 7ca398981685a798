"""Conformance kit of engines: promises from the second on; the first has a kit of its own (``engine_rows``).

Subclass ``EngineKit`` and give the fixture ``engine``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.engine import Engine, ViewRows
from loopline.platform_core.errors import ContractBroken, InvalidSpec, TaskFailed
from loopline.platform_core.testing.engines.engine_joins import PointInTimeKit
from loopline.platform_core.testing.engines.engine_tables import (
    articles_found,
    asked,
    at,
    large_order,
    meanings,
    offline_rows,
    raw_orders,
    spending,
    words,
)
from loopline.platform_core.testing.parts.expect import raises

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa


def thrice(package: Path, rows: pa.Table) -> Sequence[float]:
    """Score by a factor that lies in the package; a row without a number is refused."""
    if rows["number"].null_count:
        raise TaskFailed("a row has no number", "give it one")
    factor = float(package.joinpath("factor").read_text())
    return [factor * number for number in rows["number"].to_pylist()]


def thrice_and_once(package: Path, rows: pa.Table) -> Sequence[float]:
    """Score by two numbers a row: the factor's and the row's own."""
    pairs = zip(thrice(package, rows), rows["number"].to_pylist(), strict=True)
    return [number for pair in pairs for number in pair]


class EngineKit(PointInTimeKit):
    """Several tests a promise; the join's are in ``engine_joins``."""

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

    def test_2_hours_and_days_are_those_in_utc(self, engine: Engine) -> None:
        """Whatever zone the engine's session would like: a function sees parts of UTC."""
        import narwhals as nw

        def parts(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            moment = nw.col("ordered_at")
            midnight = moment.dt.truncate("1d").dt.offset_by("1d")
            return orders.select("customer", hour=moment.dt.hour(), day=moment.dt.day(), ordered_at=midnight)

        found = engine.compute_view(replace(spending, compute=parts), raw_orders((1, 23.5, 23.5, 1.0, "a")))
        assert [tuple(row.values()) for row in found.to_pylist()] == [(1, at(24), at(24), 23, 1)]

    def test_2_a_feature_may_be_a_vector(self, engine: Engine) -> None:
        """Lists of numbers that are equally long come back as lists of float64, null where there is none."""
        import pyarrow as pa

        raw = raw_orders((1, 0, 5, 1.0, "1,2.5,-3"), (1, 3, 5, 1.0, "4,5,6"), (2, 4, 5, 1.0, None))
        found = engine.compute_view(meanings, raw)
        assert found.schema.field("meaning").type == pa.list_(pa.float64())
        rows = sorted(zip(found["event_time"].to_pylist(), found["meaning"].to_pylist(), strict=True))
        assert [vector for _, vector in rows] == [[1.0, 2.5, -3.0], [4.0, 5.0, 6.0], None]
        assert engine.compute_view(meanings, raw.slice(0, 0)).schema == found.schema

    def test_2_lists_may_have_any_length(self, engine: Engine) -> None:
        """Lists of numbers and of texts come back as they are."""
        import pyarrow as pa

        raw = raw_orders((1, 0, 5, 1.0, "1,2"), (1, 3, 5, 1.0, "4"))
        assert engine.compute_view(meanings, raw)["meaning"].to_pylist() == [[1.0, 2.0], [4.0]]
        said = engine.compute_view(replace(meanings, compute=words), raw)["meaning"]
        assert (said.type, said.to_pylist()) == (pa.list_(pa.string()), [["1", "2"], ["4"]])

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
            with raises(ContractBroken, match="spending"):
                engine.compute_view(replace(spending, compute=function), raw)

    def test_2_a_function_that_fails_is_named(self, engine: Engine) -> None:
        """What a function raises, at once or when its frame is collected, becomes ``TaskFailed`` with a place."""
        import narwhals as nw

        def divides(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            return orders.select(nw.lit(1 // 0))

        def unknown(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            return orders.select("customer", "nothing")

        for function in (divides, unknown):
            with raises(TaskFailed, match=r"spending.*engine\.py:\d+"):
                engine.compute_view(replace(spending, compute=function), raw_orders((1, 0, 1, 1.0, "a")))
        with raises(InvalidSpec, match="moment"):
            engine.compute_view(replace(spending, time="moment"), raw_orders((1, 0, 1, 1.0, "a")))

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

    def test_8_a_label_is_a_number_or_a_text(self, engine: Engine) -> None:
        """Which of them are right, a model's target says; a column that is not there is the team's mistake."""
        raw = raw_orders((1, 0, 1, 3.0, "a"))
        found = engine.compute_labels(replace(large_order, label="amount"), raw)
        assert found["label"].to_pylist() == [3.0]
        with raises(InvalidSpec, match=r"large_order.*'market'"):
            engine.compute_labels(replace(large_order, segments=("market",)), raw)

    def test_8_a_label_is_a_list_of_any_length(self, engine: Engine) -> None:
        """Of numbers or of texts; no label is null."""
        import pyarrow as pa

        raw = raw_orders((1, 0, 1, 3.0, "1,2"), (2, 1, 2, 3.0, "3"), (3, 2, 3, 3.0, "4"))
        raw = raw.set_column(raw.column_names.index("article"), "article", pa.array(["1,2", "3", None]))
        for label, kind, found in (
            ("found", pa.string(), [["1", "2"], ["3"], None]),
            ("numbers", pa.float64(), [[1.0, 2.0], [3.0], None]),
        ):
            computed = engine.compute_labels(replace(articles_found, label=label), raw)
            assert computed.schema.field("label").type == pa.list_(kind)
            assert computed["label"].to_pylist() == found
            assert (
                engine.compute_labels(replace(articles_found, label=label), raw.slice(0, 0)).schema == computed.schema
            )

    def test_11_each_row_gets_its_score(self, engine: Engine, tmp_path: Path) -> None:
        """Scores come in the rows' order, for no rows none, and an error of ours comes as it was raised."""
        import pyarrow as pa

        tmp_path.joinpath("factor").write_text("3")
        rows = pa.table({"number": [n / 8 for n in range(500)]})
        assert list(engine.score(tmp_path, rows, thrice)) == [3 * n / 8 for n in range(500)]
        assert list(engine.score(tmp_path, rows.slice(0, 0), thrice)) == []
        both = [number for n in range(500) for number in (3 * n / 8, n / 8)]
        assert list(engine.score(tmp_path, rows, thrice_and_once)) == both, "two numbers a row, row after row"
        lacking = pa.table({"number": [1.0, None]})
        with raises(TaskFailed, match="a row has no number → give it one"):
            engine.score(tmp_path, lacking, thrice)
