"""Retention of the prediction log: which files every reader has finished and no worker writes any more.

Age is by the machine's clock, whatever clock the platform goes by: a disk fills in real time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopline.platform_core.runtime import shadow_log, states
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log_table import offsets_of

STREAM = "stream"
"""Below this folder scorers of streams live; it begins the names of their files too."""
_HOMES = {"": "", shadow_log.PREFIX: "shadow", f"{STREAM}-": STREAM}
"""Where who writes a log lives below the root, by how the names of its files begin."""


def trim(root: Path, model: str, cursors: Sequence[str], keep_seconds: float, now: float | None = None) -> list[str]:
    """Remove files of a model's log, and return their names.

    A file goes when each cursor lies behind its end, its last record is older than ``keep_seconds``, and its writer is
    dead or has gone on to the next one. While the model has a shadow nothing goes: the files tell how far it has come.

    Raises:
        ContractBroken: a cursor is none.
    """
    if not cursors or shadow_log.begun(root, model):
        return []
    read = [offsets_of(cursor) for cursor in cursors]
    before = (time.time() if now is None else now) - keep_seconds
    written = _written(root, model)
    gone = []
    for file in sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}")):
        if file not in written and _is_read(file, read) and file.stat().st_mtime < before:
            file.unlink()
            gone.append(file.name)
    return gone


def _is_read(file: Path, read: Sequence[Mapping[str, int]]) -> bool:
    """Say whether each reader has read all whole records; a torn one at the end was answered to nobody."""
    size, least = file.stat().st_size, min(offsets.get(file.name, 0) for offsets in read)
    return least >= size or next(log.read(file, least), None) is None


def _written(root: Path, model: str) -> set[Path]:
    """Return the newest file of each process that lives."""
    alive = {f"{prefix}{name}" for prefix, home in _HOMES.items() for name in states.living(root / home)}
    newest: dict[str, Path] = {}
    for file in sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}")):
        newest[file.name.rpartition("-")[0]] = file
    return {file for writer, file in newest.items() if writer in alive}
