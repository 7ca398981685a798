"""Prediction log of a stream scorer: each record once, even when it is scored again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.retention import STREAM

if TYPE_CHECKING:
    from datetime import datetime

LOG_SECONDS = 3600.0
"""How much earlier than its record's publication a file may seem to be written: clocks differ, partitions too."""


class StreamLog:
    """The log of one scorer; ``prefix`` begins the names of its stream's records.

    The scorer is known as alive until ``close``, so that the file stays to which it will write, however old it is.
    """

    def __init__(self, root: Path, model: str, prefix: str) -> None:
        self._root, self._model, self._prefix = root, model, prefix
        states.observed(root / STREAM, model)  # this removes what dead scorers left
        self._alive = states.Worker(root / STREAM, str(time.time_ns()))
        self._log = log.PredictionLog(root, f"{STREAM}-{self._alive.name}")
        self._known: set[str] | None = None

    def expect(self, published: datetime) -> None:
        """Look, where that is due, for what may be logged already of records published since then."""
        if self._known is None:
            self._known = self._logged_ids(published.timestamp() - LOG_SECONDS)

    def write(self, model: str, record: log.Record) -> None:
        """Write a record that is not there yet."""
        known = self._known
        assert known is not None
        if record.request_id not in known:
            self._log.write(model, record)
            known.add(record.request_id)

    def write_many(self, model: str, records: Iterable[log.Record]) -> None:
        """Write those records that are not there yet, all at once."""
        known = self._known
        assert known is not None
        new = [record for record in records if record.request_id not in known]
        if new:
            self._log.write_many(model, new)
            known.update(record.request_id for record in new)

    def sync(self) -> None:
        """Bring it to the disk."""
        self._log.sync()

    def committed(self, names: Iterable[str]) -> None:
        """Forget what will not come again."""
        if self._known is not None:
            self._known.difference_update(names)

    def look_again(self) -> None:
        """Read the files before the next record is written."""
        self._known = None

    def close(self) -> None:
        """Close the file, and let it go."""
        self._log.close()
        self._alive.leave()

    def _logged_ids(self, since: float) -> set[str]:
        found: set[str] = set()
        for file in log.log_folder(self._root, self._model).glob(f"*{log.SUFFIX}"):
            if file.stat().st_mtime >= since:
                found |= {record.request_id for records, _ in log.read(file) for record in records}
        return {name for name in found if name.startswith(self._prefix)}
