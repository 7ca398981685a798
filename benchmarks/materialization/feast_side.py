"""Feast's ``materialize`` into Redis: ``python -m benchmarks.materialization.feast_side SIDE FOLDER URL``."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from benchmarks.materialization import data
from benchmarks.measured import measured
from benchmarks.peers.feast_store import View, open_store
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

LOOKED_AT = range(1000)


def main() -> None:
    """Materialize all rows; print the same figures as every side."""
    _, folder, url = sys.argv[1:]
    client = redis.Redis.from_url(url)
    client.flushall()
    address = url.removeprefix("redis://").split("/")[0]
    online = f'{{{{type: redis, connection_string: "{address}"}}}}'
    features = [(name, "float64") for name in data.FEATURES]
    path = str(Path(folder) / "offline.parquet")
    view = View("readings", data.ENTITY, "int64", path, EVENT_TIME, CREATED_AT, features, 3650)
    start = datetime.fromtimestamp(data.START_US / 1e6, UTC)
    with tempfile.TemporaryDirectory() as repository:
        store = open_store(Path(repository), [view], online)

        def write(until: datetime) -> int:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                store.materialize(start - timedelta(days=1), until)
            return int(client.dbsize())

        write(start + timedelta(hours=1))
        client.flushall()
        keys, cost = measured(lambda: write(start + timedelta(days=data.DAYS + 1)))
        rows = [{data.ENTITY: key} for key in LOOKED_AT]
        found = store.get_online_features(features=["readings:f0"], entity_rows=rows).to_dict()["f0"]
    value = sum(number or 0 for number in found)
    print(f"\n{json.dumps({'keys': keys, 'seconds': cost.seconds, 'peak_mb': cost.peak_mb, 'value': value})}")


if __name__ == "__main__":
    main()
