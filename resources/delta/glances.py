"""What a table's newest version is, from the time of its log's folder: 5 µs, where opening the table costs 2 ms."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from loopline.resources.delta.transactions import LOG

SETTLED_NS = 2_000_000_000
"""A folder that changed so shortly before the table was opened may hide a second change behind the same time."""


class Glances:
    """Versions by the table's folder on this machine; a commit, a tidying, a new table change its time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def changed_ns(self, folder: str) -> int | None:
        """Return when the log's folder changed, None where that cannot be said."""
        if "://" not in folder:
            with suppress(OSError):
                return os.stat(f"{folder}/{LOG}").st_mtime_ns  # noqa: PTH116 - a path costs as much as the look
        return None

    def version(self, folder: str) -> int | None:
        """Return the version of a table that has not changed since it was opened."""
        changed, version = self._known.get(folder, (None, None))
        return version if changed is not None and changed == self.changed_ns(folder) else None

    def note(self, folder: str, changed_ns: int | None, version: int) -> None:
        """Keep the version of a table that was opened after ``changed_ns`` was looked at."""
        if changed_ns is not None and time.time_ns() - changed_ns > SETTLED_NS:
            self._known[folder] = (changed_ns, version)
