"""What is online after each turn of the same story: in Feast's stores, and in ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest

from benchmarks.peers.histories import at
from loopline.platform_core.contracts.online_store import Keep, OnlineStore
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import EVENT_TIME, online_view, raw_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import ORDERS, large_order, put_contract
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.redis.online_store import RedisOnlineStore
from loopline.resources.sqlite.online_store import SqliteOnlineStore

VIEW = "differential.view.v1"


@pytest.fixture(scope="module")
def feast_sqlite(by_feast) -> dict[str, float | None]:
    """Feast's story on its SQLite store."""
    return _last_line(by_feast("benchmarks.peers.feast_online", "sqlite"))


@pytest.fixture(scope="module")
def feast_redis(by_feast, redis_server) -> dict[str, float | None]:
    """Feast's story on its Redis store."""
    address = redis_server.url.removeprefix("redis://").split("/")[0]
    return _last_line(by_feast("benchmarks.peers.feast_online", address))


@pytest.fixture(params=["sqlite", "redis"])
def store(request, tmp_path: Path, redis_server) -> Iterator[OnlineStore]:
    """Our two online stores."""
    prefix = f"{tmp_path.name}:"
    ours = {
        "sqlite": lambda: SqliteOnlineStore(path=str(tmp_path / "online.db")),
        "redis": lambda: RedisOnlineStore(url=redis_server.url, prefix=prefix),
    }[request.param]()
    yield ours
    ours.close()


def test_an_old_window_again_goes_back_on_feasts_sqlite(feast_sqlite, feast_redis, store: OnlineStore) -> None:
    """The first hours again put 1 over 5 in Feast's SQLite; its Redis store and both of ours keep the newer event."""
    assert [feast_sqlite["materialized"], feast_sqlite["old window again"]] == [5.0, 1.0]
    assert [feast_redis["materialized"], feast_redis["old window again"]] == [5.0, 5.0]
    assert [_put(store, 5, 5.0), _put(store, 0, 1.0)] == [5.0, 5.0]


def test_a_correction_never_gets_into_feasts_redis(feast_sqlite, feast_redis, store: OnlineStore) -> None:
    """A corrected row has the same event time, which Feast's Redis skips: history says 55, it serves 5 for good."""
    assert [feast_redis["corrected"], feast_redis["corrected, history"]] == [5.0, 55.0]
    assert [feast_sqlite["corrected"], feast_sqlite["corrected, history"]] == [55.0, 55.0]
    assert [_put(store, 5, 5.0), _put(store, 5, 55.0)] == [5.0, 55.0]


def test_a_late_row_never_gets_online_in_feast(feast_sqlite, feast_redis, late_shop: Callable[..., Any]) -> None:
    """Incremental materialization reads events after its last end: one of 9 h that arrives at 11 h is never served."""
    for said in (feast_sqlite, feast_redis):
        assert [said["late"], said["late, history"]] == [None, 2.0]
    assert [late_shop(10), late_shop(12, (2, 9, 11, 2.0))] == [None, 2.0]


def test_feast_serves_what_is_too_old(feast_sqlite, feast_redis, store: OnlineStore) -> None:
    """A TTL of two days makes an old row null in Feast's history, and nothing of it online; ours has let it go."""
    for said in (feast_sqlite, feast_redis):
        assert said["too old"] is not None
        assert said["too old, history"] is None
    assert _put(store, 5, 5.0, Keep(2.0, at(24 * 2 + 6))) is None


@pytest.fixture
def late_shop(tmp_path: Path) -> Callable[..., float | None]:
    """Materializes at an hour, after a raw row (key, event, arrival, number) has come; gives key 2 online."""
    put_contract(tmp_path / "orders.yaml")
    view = FeatureView("view", ORDERS, "customer", "ordered_at", _as_they_are, ttl_days=20)
    team = Team("shop", tmp_path, (Model("large", (view,), large_order, fit=lambda *_: None),))  # type: ignore[arg-type,return-value]
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
    }
    clock, ledger = ReplayClock(tmp_path / "clock"), f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "e.yaml", bindings, ledger, clock.path, tmp_path))

    def turn(hour: float, row: tuple[int, float, float, float] = (1, 0, 0, 1.0)) -> float | None:
        platform.lake.append(raw_table("shop", ORDERS.name), _raw(*row))
        clock.set(at(hour))
        materialize(platform, team, view)
        found = platform.online_store.read([(online_view("shop", view), ["2"])])[0][0]
        return found.values[0] if found else None  # type: ignore[return-value]

    return turn


def _as_they_are(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return rows.select("customer", "ordered_at", "amount")


def _raw(key: int, hour: float, arrived: float, number: float) -> pa.Table:
    times = {"ordered_at": _times(at(hour)), "_arrived_at": _times(at(arrived))}
    return pa.table({"customer": [key], **times, "amount": [number]})


def _put(store: OnlineStore, hour: float, number: float, keep: Keep | None = None) -> float | None:
    """Write key 1 and read it again."""
    store.write(VIEW, "key", pa.table({"key": [1], EVENT_TIME: _times(at(hour)), "number": [number]}), keep)
    found = store.read([(VIEW, ["1"])])[0][0]
    return found.values[0] if found else None  # type: ignore[return-value]


def _times(time: datetime) -> pa.Array:
    return pa.array([time], pa.timestamp("us", "UTC"))


def _last_line(printed: str) -> dict[str, float | None]:
    said: dict[str, float | None] = json.loads(printed.splitlines()[-1])
    return said
