"""Feast on the same rows and server: ``python -m benchmarks.online_reads.feast_side LAYOUT FOLDER HOST:PORT TIMES``.

In Feast's environment, as its documentation has it: Parquet sources, ``materialize``, ``get_online_features``. With
layout ``views`` the features lie in three views, as ours do; with ``one`` all ten lie in a single view, which its
guide to performance recommends because each view of a request is a read of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pyarrow import parquet

from benchmarks.online_reads import data
from benchmarks.online_reads.side import Keys, figures
from benchmarks.peers.feast_store import View, open_store, references
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME


def main() -> None:
    """Write by ``materialize``, then read; print the same figures as every side."""
    layout, folder, address, times = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    views = [_view(folder, shape) for shape in ((data.EVERYTHING,) if layout == "one" else data.SHAPES)]
    online = f'{{{{type: redis, connection_string: "{address}"}}}}'
    with tempfile.TemporaryDirectory() as repository:
        store = open_store(Path(repository), views, online, project=f"feast_{layout}")
        entities, asked = parquet.read_metadata(views[0].path).num_rows, references(views)
        end = datetime.fromtimestamp(data.NEWEST_US / 1e6, UTC)

        def write() -> int:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                store.materialize(end - timedelta(days=2), end)
            return entities * len(views)

        def read(keys: Keys) -> object:
            rows = [{data.ENTITY: int(key)} for key in keys]
            return store.get_online_features(features=asked, entity_rows=rows).to_dict()

        print(f"\n{json.dumps(figures(write, read, entities, times))}")


def _view(folder: Path, shape: data.Shape) -> View:
    features = [(name, "float64") for name in shape.features]
    return View(shape.view, data.ENTITY, "int64", str(data.file(folder, shape)), EVENT_TIME, CREATED_AT, features)


if __name__ == "__main__":
    main()
