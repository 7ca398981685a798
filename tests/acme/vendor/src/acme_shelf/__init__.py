"""A vendor from outside: an online store of one JSON file a view, under a file lock."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, OnlineStore, newest, replacing
from loopline.platform_core.foundation.files import lent

if TYPE_CHECKING:
    import pyarrow as pa

Shelf = dict[str, list]
"""By key: event time (µs since 1970), and the values."""


class ShelfOnlineStore(OnlineStore):
    """Keeps each view in ``<folder>/<view>.json``; slow, and right."""

    folder: Path

    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Read every view's file once."""
        shelves = {view: self._shelf(view) for view, _ in asks}
        return [[_row(shelves[view].get(key)) for key in keys] for view, keys in asks]

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Put newer rows on the shelf, and take away what is too old."""
        oldest = keep.oldest_us if keep else float("-inf")
        with self._locked(view) as shelf:
            won = {
                key: [row.event_time_us, list(row.values)]
                for key, row in newest(entity, rows).items()
                if row.event_time_us >= oldest
                if key not in shelf or shelf[key][0] <= row.event_time_us
            }
            shelf.update(won)
            for key in [key for key, row in shelf.items() if row[0] < oldest]:
                del shelf[key]
        return len(won)

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Put rows in the place of what is void, and clear the place where there is none."""
        changed = 0
        with self._locked(view) as shelf:
            for key, row, until in replacing(entity, rows, void, keep):
                if (key in shelf and shelf[key][0] > until) or (key not in shelf and row is None):
                    continue
                changed += 1
                shelf.pop(key, None)
                if row is not None:
                    shelf[key] = [row.event_time_us, list(row.values)]
        return changed

    def drop(self, view: str) -> None:
        """Clear one shelf."""
        self._file(view).unlink(missing_ok=True)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[ShelfOnlineStore]:
        """Give a folder of its own in this one."""
        with lent(self.folder / name) as folder:
            yield self.with_settings(folder=folder)

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
