"""One side of ours, or redis-py by hand: ``python -m benchmarks.materialization.ours SIDE FOLDER URL``.

Prints a JSON object a measured step: keys written, seconds, peak memory, and the sum of ``f0`` online of some keys.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import redis
from pyarrow import parquet

from benchmarks.materialization import data
from benchmarks.measured import Cost, measured
from loopline.platform_core.contracts.online_store import newest
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.materialization.materialize import materialize, refill
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, online_view, raw_table
from loopline.platform_core.platform import Platform
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.redis.online_store import RedisOnlineStore

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView, Team

LOOKED_AT = range(1000)
"""Keys whose values are compared between the sides."""


class Bench(NamedTuple):
    """A platform on a fresh lake, its team, the team's only view, and the rows given."""

    platform: Platform
    team: Team
    view: FeatureView
    rows: pa.Table

    def value(self) -> float:
        """Sum up ``f0`` of some keys online."""
        keys = [str(key) for key in LOOKED_AT]
        found = self.platform.online_store.read([(online_view(self.team.name, self.view), keys)])[0]
        return sum(float(row.values[0] or 0) for row in found if row)

    def land(self, rows: pa.Table) -> None:
        """Add raw rows."""
        self.platform.lake.append(raw_table(self.team.name, self.view.source.name), rows)


def by_hand(folder: Path, url: str) -> Iterator[dict[str, float]]:
    """Let redis-py set the bytes that our store sets, in pipelines of a thousand; packed before."""
    from loopline.platform_core.contracts.online_packing import pack

    client = redis.Redis.from_url(url)
    found = newest(data.ENTITY, _newest(folder))
    packed = [(f"raw:{key}", pack(row)) for key, row in found.items()]

    def write() -> int:
        pipeline = client.pipeline(transaction=False)
        for at in range(0, len(packed), 1000):
            for name, value in packed[at : at + 1000]:
                pipeline.set(name, value)
            pipeline.execute()
        return len(packed)

    looked_at = (found.get(str(key)) for key in LOOKED_AT)
    yield _told(*measured(write), sum(float(row.values[0] or 0) for row in looked_at if row))


def store(folder: Path, url: str) -> Iterator[dict[str, float]]:
    """Let our store write the newest rows."""
    bench = _bench(folder, url)
    name, rows = online_view(bench.team.name, bench.view), _newest(folder)
    yield _told(*measured(lambda: bench.platform.online_store.write(name, data.ENTITY, rows)), bench.value())


def whole(folder: Path, url: str) -> Iterator[dict[str, float]]:
    """Materialize everything; fill a lost store from the offline table, as Feast does; materialize what is new."""
    _warm(folder, url)
    bench = _bench(folder, url)
    bench.land(bench.rows)
    yield _step(bench, lambda: materialize(bench.platform, bench.team, bench.view).online)
    redis.Redis.from_url(url).flushall()
    yield _step(bench, lambda: refill(bench.platform, bench.team, bench.view))
    more = data.rows(len(bench.rows) // 20, 10**9, seed=1, first_day=data.DAYS)
    changed = more.set_column(0, data.ENTITY, bench.rows[data.ENTITY][: len(more)])
    bench.land(changed)
    yield _step(bench, lambda: materialize(bench.platform, bench.team, bench.view).online)


SIDES = {"by_hand": by_hand, "store": store, "whole": whole}


def _step(bench: Bench, call: Callable[[], int]) -> dict[str, float]:
    return _told(*measured(call), bench.value())


def _told(keys: int, cost: Cost, value: float) -> dict[str, float]:
    return {"keys": keys, "seconds": cost.seconds, "peak_mb": cost.peak_mb, "value": value}


def _bench(folder: Path, url: str) -> Bench:
    home = Path(tempfile.mkdtemp(dir=folder))
    bindings = {
        "lake": DeltaLake(root=str(home / "lake")),
        "engine": PolarsEngine(),
        "online_store": RedisOnlineStore(url=url),
    }
    bound = Environment("bench", home / "bench.yaml", bindings, f"sqlite:///{home}/ledger.db", None, home)
    team = data.team(home)
    return Bench(Platform(bound), team, team.views[0], parquet.read_table(folder / "raw.parquet"))


def _warm(folder: Path, url: str) -> None:
    """Let libraries be there when it counts."""
    bench = _bench(folder, url)
    bench.land(bench.rows[:1000])
    materialize(bench.platform, bench.team, bench.view)
    redis.Redis.from_url(url).flushall()


def _newest(folder: Path) -> pa.Table:
    rows = data.offline(parquet.read_table(folder / "raw.parquet")).sort_by(EVENT_TIME)
    last = {key: place for place, key in enumerate(rows[data.ENTITY].to_pylist())}
    return rows.take(list(last.values())).drop_columns(CREATED_AT)


def main() -> None:
    """Measure the side named, on an empty Redis server."""
    side, folder, url = sys.argv[1:]
    redis.Redis.from_url(url).flushall()
    for found in SIDES[side](Path(folder), url):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
