"""Features by name, the newest of them, and those of the past; on real vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.online import MOST_ROWS, as_text, read_online
from loopline.platform_core.features.selection import FeatureNames, label
from loopline.platform_core.foundation.names import online_view, view_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.training.offline import historical, training_rows
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.feature_shop import NOW, fill, team
from loopline.stories.feature_shop.team import history, popularity


@pytest.fixture
def shop(platform_of: Callable[..., Platform]) -> Platform:
    """Open the shop of fixed features."""
    platform = platform_of()
    fill(platform)
    return platform


@pytest.fixture
def names(shop: Platform) -> FeatureNames:
    """Know the shop's features."""
    return FeatureNames(shop, team)


def rows(**columns: list[Any]) -> pa.Table:
    """Make rows of the caller's own."""
    return pa.table(
        {"event_time": pa.array([NOW] * len(next(iter(columns.values()))), pa.timestamp("us", "UTC"))} | columns
    )


def test_names_are_found_once(names: FeatureNames) -> None:
    """What was asked before is held, and says the same; what was not is not."""
    assert names.held(["history"]) is None
    asked = names.ask(["history"])
    assert names.held(["history"]) is asked
    assert names.held(["history:spend"]) is None
    assert names.held(None, "large") is None


def test_a_name_without_a_version_means_the_first(names: FeatureNames) -> None:
    """A second version beside the first changes nothing for those who name none."""
    assert [(each.name, each.stored) for each in names.ask(["history", "history@2"])] == [
        ("history", "shop.history.v1"),
        ("history@2", "shop.history.v2"),
    ]
    assert names.ask(["history@1:spend"]) == names.ask(["history:spend"])
    assert label(replace(history, version=3)) == "history@3"


@pytest.mark.parametrize(
    "name", ["", ":", "history:", ":spend", "history@", "history@0", "history@x:spend", "a b", "a:b:c"]
)
def test_what_is_no_name_is_refused(platform_of: Callable[..., Platform], name: str) -> None:
    """A mistake in the form of a name is told with the form."""
    with pytest.raises(BadRequest) as failure:
        FeatureNames(platform_of(), team).ask([name])
    assert failure.value.problem == f"{name!r} names no feature"
    assert "view@2:feature" in failure.value.fix


def test_held_selections_are_bounded(names: FeatureNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who asks for something else each time does not fill the memory."""
    monkeypatch.setattr("loopline.platform_core.features.selection.MOST_HELD", 2)
    for wanted in (["history:spend"], ["history:orders"], ["history:member"]):
        names.ask(wanted)
    assert names.held(["history:spend"]) is None
    assert names.held(["history:member"]) is not None


def test_all_views_are_read_in_one_trip(shop: Platform, names: FeatureNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three views of two entities cost one round trip."""
    asked = names.ask(["history", "history@2", "popularity"])
    trips, read = [], SqliteOnlineStore.read
    monkeypatch.setattr(SqliteOnlineStore, "read", lambda store, asks: trips.append(asks) or read(store, asks))
    found = read_online(shop, asked, {"customer_id": [1, 2], "article": ["vase", "12"]})
    assert len(trips) == 1
    assert list(found.views) == ["history", "history@2", "popularity"]


def test_a_row_of_another_definition_is_missing(shop: Platform, names: FeatureNames) -> None:
    """A stored row with another number of features than the view has now is not served."""
    times = pa.array([NOW], pa.timestamp("us", "UTC"))
    shop.online_store.write(
        online_view("shop", popularity), "article", pa.table({"article": ["new"], "event_time": times, "spend": [1.0]})
    )
    found = read_online(shop, names.ask(["popularity"]), {"article": ["new"]})
    assert found.views["popularity"].status == ["missing"]
    assert found.views["popularity"].event_time_us == [None]
    assert found.features == {"popularity:spend": (None,), "popularity:orders": (None,)}


def test_a_request_has_a_limit(shop: Platform, names: FeatureNames) -> None:
    """One request asks for at most so many rows."""
    asked = names.ask(["history:spend"])
    assert len(read_online(shop, asked, {"customer_id": range(MOST_ROWS)}).features["history:spend"]) == MOST_ROWS
    with pytest.raises(BadRequest, match=f"more than {MOST_ROWS} rows"):
        read_online(shop, asked, {"customer_id": range(MOST_ROWS + 1)})


def test_times_have_six_digits() -> None:
    """Every instant is written alike, to the microsecond, before 1970 too."""
    written = [None, "1970-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "2026-03-01T12:00:00.000001Z"]
    assert as_text([None, 0, -1, 1_772_366_400_000_001]) == written


def test_keys_take_the_type_of_the_view(shop: Platform, names: FeatureNames) -> None:
    """Keys as text join as they do online; what is no key of the view is refused with its type."""
    asked = names.ask(["history:orders"])
    assert historical(shop, team, asked, rows(customer_id=["1", "9"]))["history:orders"].to_pylist() == [2, None]
    with pytest.raises(BadRequest, match="'customer_id' is string and does not become int64"):
        historical(shop, team, asked, rows(customer_id=["one"]))


def test_columns_of_the_caller_come_back(shop: Platform, names: FeatureNames) -> None:
    """A column may have the bare name of a feature, not its full one."""
    found = historical(shop, team, names.ask(["history:spend"]), rows(customer_id=[1], spend=["mine"]))
    assert found.column_names == ["event_time", "customer_id", "spend", "history:spend"]
    assert found["spend"].to_pylist() == ["mine"]
    with pytest.raises(BadRequest, match="have columns"):
        historical(shop, team, names.ask(["history:spend"]), rows(customer_id=[1], **{"history:spend": [1.0]}))


def test_versions_are_joined_side_by_side(shop: Platform, names: FeatureNames) -> None:
    """Two versions of a view may be asked for together, to compare them."""
    second = names.ask(["history@2"])[0].view
    held = shop.lake.read(view_table("shop", history))
    pence = held.select(["customer_id", "event_time", "created_at", "_date"]).append_column(
        "pence", pa.array([1, 2, 3, 4])
    )
    shop.lake.append(view_table("shop", second), pence)
    found = historical(shop, team, names.ask(["history:spend", "history@2"]), rows(customer_id=[1]))
    assert found.column_names[2:] == ["history:spend", "history@2:pence"]
    assert found["history@2:pence"].null_count == 0


def test_no_more_is_read_than_can_be_joined(
    shop: Platform, names: FeatureNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds in time and entities change no row: with one of them at the TTL's edge, with none, and without times."""
    asked = names.ask(["history:spend", "parcel:pieces"])
    hours = [96, 72, 36, 0, 15 * 24 - 1, -96, 13 * 24]
    times = pa.array([*(NOW - timedelta(hours=each) for each in hours), None], pa.timestamp("us", "UTC"))
    table = pa.table({"customer_id": [1, 1, 1, 2, 2, 1, 2, 1], "event_time": times})
    bounded = historical(shop, team, asked, table)
    each_alone = [historical(shop, team, asked, table.slice(row, 1)) for row in range(len(table))]
    monkeypatch.setattr("loopline.platform_core.training.offline.FEW_KEYS", 0)
    assert bounded.equals(historical(shop, team, asked, table))
    assert pa.concat_tables(each_alone).to_pylist() == bounded.to_pylist()
    assert bounded["history:spend"].to_pylist() == [10.0, 10.0, 0.30000000000000004, None, 1e16, 11.25, 1e16, None]


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.string(), pa.timestamp("us", "Europe/Oslo")])
def test_times_must_be_utc(shop: Platform, names: FeatureNames, kind: pa.DataType) -> None:
    """A time without a zone, or in another one, is refused rather than guessed."""
    table = pa.table({"customer_id": [1], "event_time": pa.nulls(1, kind)})
    with pytest.raises(BadRequest, match="no instant in UTC"):
        historical(shop, team, names.ask(["history"]), table)


def test_as_of_must_have_a_zone(shop: Platform, names: FeatureNames) -> None:
    """As-of times are held to the same, for rows as for models."""
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - the mistake
    with pytest.raises(BadRequest, match="no time zone"):
        historical(shop, team, names.ask(["history"]), rows(customer_id=[1]), naive)
    with pytest.raises(BadRequest, match="no time zone"):
        training_rows(shop, team, team.model("large"), naive)
