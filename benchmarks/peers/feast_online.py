"""What Feast's online store holds after each turn of a story: ``python -m benchmarks.peers.feast_online STORE``.

``STORE`` is ``sqlite`` or a Redis server's ``host:port``. Prints a JSON object: turn → what is online of a key, and
what its history gives for the same moment.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.peers.feast_store import SQLITE, View, open_store
from benchmarks.peers.histories import at

Row = tuple[int, float, float, float]


class Story:
    """A view of one number, TTL 2 days, whose rows are (key, event's hour, hour of creation, number)."""

    def __init__(self, folder: Path, online: str) -> None:
        self.path = folder / "rows.parquet"
        self.rows: list[Row] = [(1, 0, 0, 1.0), (1, 5, 5, 5.0)]
        self._write()
        view = View("view", "key", "int64", str(self.path), "event_time", "created_at", [("number", "float64")], 2.0)
        self.store = open_store(folder, [view], online)

    def add(self, row: Row) -> None:
        """Let a row arrive."""
        self.rows.append(row)
        self._write()

    def online(self, key: int) -> float | None:
        """Read a key's number."""
        answer = self.store.get_online_features(features=["view:number"], entity_rows=[{"key": key}])
        found: float | None = answer.to_dict()["number"][0]
        return found

    def offline(self, key: int, hour: float) -> float | None:
        """Ask history for what was known of a key at an hour."""
        frame = pd.DataFrame({"key": [key], "event_timestamp": [at(hour)]})
        job = self.store.get_historical_features(frame, ["view:number"], filter_by_created_timestamp=True)
        found: float | None = job.to_arrow()["number"].to_pylist()[0]
        return found

    def _write(self) -> None:
        keys, events, created, numbers = zip(*self.rows, strict=True)
        times = {"event_time": map(at, events), "created_at": map(at, created)}
        columns: dict[str, Any] = {name: list(values) for name, values in times.items()}
        pd.DataFrame({"key": keys, **columns, "number": numbers}).to_parquet(self.path)


def tell(story: Story) -> dict[str, Any]:
    """Turn by turn, as hours pass."""
    said: dict[str, Any] = {}
    story.store.materialize(at(-1), at(6))
    said["materialized"] = story.online(1)
    story.store.materialize(at(-1), at(1))
    said["old window again"] = story.online(1)
    story.store.materialize(at(-1), at(6))
    story.add((1, 5, 7, 55.0))
    story.store.materialize(at(-1), at(8))
    said["corrected"], said["corrected, history"] = story.online(1), story.offline(1, 8)
    story.store.materialize_incremental(at(10))
    story.add((2, 9, 11, 2.0))
    story.store.materialize_incremental(at(12))
    said["late"], said["late, history"] = story.online(2), story.offline(2, 12)
    said["too old"], said["too old, history"] = story.online(1), story.offline(1, 24 * 300)
    return said


def main() -> None:
    """Tell the story on the store named."""
    store = sys.argv[1]
    online = SQLITE if store == "sqlite" else f'{{{{type: redis, connection_string: "{store}"}}}}'
    with tempfile.TemporaryDirectory() as folder:
        said = tell(Story(Path(folder), online))
    print(f"\n{json.dumps(said)}")


if __name__ == "__main__":
    main()
