"""Engine kit, promises three to five and seven: the point-in-time join. Part of ``EngineKit``."""

from __future__ import annotations

from dataclasses import replace

from loopline.platform_core.contracts.engine import Engine, ViewRows
from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.foundation.names import BEGUN_AT, DATE
from loopline.platform_core.testing.engines.engine_tables import asked, joined, offline_rows, spending, spends
from loopline.platform_core.testing.parts.expect import raises


class PointInTimeKit:
    """Several tests a promise."""

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

    def test_3_the_platforms_own_columns_are_no_features(self, engine: Engine) -> None:
        """When a row's online write began and its partition stay behind, with several views too."""
        rows = offline_rows((1, 0, 0, 1.0))
        held = rows.append_column(BEGUN_AT, rows["created_at"]).append_column(DATE, rows["event_time"].cast("date32"))
        other = held.rename_columns({"spend": "sold"})
        found = joined(engine, asked((1, 1)), ViewRows(spending, held), ViewRows(spending, other))
        assert [list(row) for row in found] == [["number", "customer", "event_time", "spend", "sold"]]

    def test_3_times_without_zone_and_unlike_keys_are_refused(self, engine: Engine) -> None:
        """A naive time might be anyone's, and text ``"1"`` is not the number 1."""
        import pyarrow as pa

        labels, rows = asked((1, 9)), offline_rows((1, 0, 0, 1.0))
        naive = pa.timestamp("us")
        with raises(ContractBroken, match="event_time"):
            spends(engine, labels.set_column(2, "event_time", labels["event_time"].cast(naive)), rows)
        with raises(ContractBroken, match="created_at"):
            spends(engine, labels, rows.set_column(2, "created_at", rows["created_at"].cast(naive)))
        with raises(ContractBroken, match="customer"):
            spends(engine, labels.set_column(1, "customer", labels["customer"].cast(pa.string())), rows)
        with raises(InvalidSpec, match="customer"):
            spends(engine, labels.drop_columns("customer"), rows)
        with raises(InvalidSpec, match="spend"):
            joined(engine, labels, ViewRows(spending, rows), ViewRows(spending, rows))

    def test_4_the_correction_counts_once_it_is_known(self, engine: Engine) -> None:
        """Of one event's rows the one created last before the label is taken, also when its feature is null."""
        rows = offline_rows((1, 4, 9, 3.0), (1, 4, 5, 1.0), (1, 4, 7, None), (1, 4, 2, 0.5))
        assert spends(engine, asked((1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9)), rows) == [
            *(0.5, 1.0, 1.0, None, None, 3.0)
        ]

    def test_4_of_rows_created_together_the_newest_event_counts(self, engine: Engine) -> None:
        """A batch creates rows of many events at one moment; from then on the newest of them is what is known."""
        rows = offline_rows((1, 3, 6, 3.0), (1, 5, 6, 5.0), (1, 4, 6, 4.0), (2, 6, 6, 9.0))
        assert spends(engine, asked((1, 5.9), (1, 6), (1, 7), (2, 6)), rows) == [None, 5.0, 5.0, 9.0]

    def test_5_too_old_is_null(self, engine: Engine) -> None:
        """A row lives ``ttl_days`` from its event, that moment included, however late it was created."""
        rows = offline_rows((1, 0, 20, 1.0))
        a_bit = 1 / 3600
        assert spends(engine, asked((1, 20), (1, 24), (1, 24 + a_bit)), rows) == [1.0, 1.0, None]
        forever = ViewRows(replace(spending, ttl_days=None), rows)
        assert joined(engine, asked((1, 24 * 9999)), forever)[0]["spend"] == 1.0
        half = ViewRows(replace(spending, ttl_days=0.9), rows)
        assert [row["spend"] for row in joined(engine, asked((1, 21), (1, 22)), half)] == [1.0, None]

    def test_7_a_null_key_joins_nothing(self, engine: Engine) -> None:
        """Neither a null key, not even with another null, nor a null time has features; their rows stay."""
        rows = offline_rows((None, 0, 0, 1.0), (1, 0, 0, 2.0))
        assert spends(engine, asked((None, 1), (1, None), (1, 1)), rows) == [None, None, 2.0]
        assert spends(engine, asked((None, 1)), rows.slice(0, 0)) == [None]
