"""A vendor from outside: an online store of one JSON file a view, under a file lock."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from platform_core.contracts.online_store import Key, OnlineRow, OnlineStore

if TYPE_CHECKING:
    import pyarrow as pa

Shelf = dict[str, list]


class ShelfOnlineStore(OnlineStore):
    """Keeps each view in ``<folder>/<view>.json``; slow, and right."""

    folder: Path

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Read every view's file once."""
        return [[_row(self._shelf(view).get(key)) for key in keys] for view, keys in asks]

    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Put newer rows on the shelf."""
        import pyarrow as pa

        times = rows["event_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
        columns = [name for name in rows.column_names if name not in (entity, "event_time")]
        with self._locked(view) as shelf:
            newest: dict[str, list] = {}
            for key, time, values in zip(
                rows[entity].to_pylist(), times, rows.select(columns).to_pylist(), strict=True
            ):
                held = newest.get(str(key)) or shelf.get(str(key))
                if key is not None and (held is None or held[0] <= time):
                    newest[str(key)] = [time, [values[name] for name in columns]]
            shelf.update(newest)
        return len(newest)

    def drop(self, view: str) -> None:
        """Clear one shelf."""
        self._file(view).unlink(missing_ok=True)

    def _file(self, view: str) -> Path:
        return self.folder / f"{view}.json"

    def _shelf(self, view: str) -> Shelf:
        try:
            return json.loads(self._file(view).read_text())
        except FileNotFoundError:
            return {}

    @contextmanager
    def _locked(self, view: str) -> Iterator[Shelf]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{view}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            shelf = self._shelf(view)
            yield shelf
            draft = self._file(view).with_suffix(".tmp")
            draft.write_text(json.dumps(shelf))
            draft.replace(self._file(view))


def _row(held: list | None) -> OnlineRow | None:
    return None if held is None else OnlineRow(held[0], tuple(held[1]))
