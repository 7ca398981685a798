"""Feast's feature server on the bench's rows: ``python -m benchmarks.feature_server.feast_side FOLDER REDIS_URL PORT``.

In Feast's environment: the same three views of ``benchmarks.online_reads``, materialized into the same Redis server,
then this process becomes ``feast serve`` with one worker and no log of accesses.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.online_reads import data
from benchmarks.peers.feast_store import View, open_store
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

OPTIONS = ["--workers", "1", "--no-access-log", "--max-requests", "1000000", "--registry_ttl_sec", "600"]


def main() -> None:
    """Write the rows online, then serve until ended."""
    folder, url, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    repository = folder / f"feast_{port}"
    repository.mkdir()
    address = url.removeprefix("redis://").split("/")[0]
    store = open_store(repository, _views(folder), f'{{{{type: redis, connection_string: "{address}"}}}}')
    end = datetime.fromtimestamp(data.NEWEST_US / 1e6, UTC)
    store.materialize(end - timedelta(days=2), end)
    feast = str(Path(sys.executable).parent / "feast")
    os.execv(feast, [feast, "--chdir", str(repository), "serve", "--port", port, *OPTIONS])


def _views(folder: Path) -> list[View]:
    return [
        View(
            shape.view,
            data.ENTITY,
            "int64",
            str(data.file(folder, shape)),
            EVENT_TIME,
            CREATED_AT,
            [(name, "float64") for name in shape.features],
        )
        for shape in data.SHAPES
    ]


if __name__ == "__main__":
    main()
