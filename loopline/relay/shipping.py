"""Ships prediction log files to the log store, whole frames at a time, until acknowledged."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from loopline.platform_core.contracts.log_store import LogSink
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.foundation.files import write
from loopline.platform_core.runtime import retention
from loopline.platform_core.runtime.prediction_log import log

PIECE_BYTES = 4 * 1024 * 1024
_LOG = logging.getLogger(__name__)


class Shipping:
    """The logs below ``root``, of a server that others know by ``server``.

    What is acknowledged is kept on the disk for ``keep_seconds``; what is not is kept until it is. How far it has come
    stands in ``<root>/shipped.json``; where that is lost, the store is asked.
    """

    def __init__(self, root: Path, server: str, sink: LogSink, keep_seconds: float) -> None:
        self._root, self._server, self._sink, self._keep_seconds = root, server, sink, keep_seconds
        self._note = root / "shipped.json"
        self._kept = _stored_offsets(self._note)
        self._stored = dict(self._kept)

    def step(self) -> int:
        """Send what has come since; returns how many bytes are still unsent, because a store refuses them now.

        One model's log that cannot be sent keeps no other back.
        """
        unsent = 0
        for folder in sorted((self._root / "log").glob("*")):
            for file in sorted(folder.glob(f"*{log.SUFFIX}")):
                try:
                    self._send(file)
                except (LooplineError, OSError) as error:
                    _LOG.warning("%s is not sent, and is tried again: %s", file.name, error)
                    unsent += file.stat().st_size - self._kept.get(_name(file), 0)
            self._let_go(folder)
        if self._kept != self._stored:
            write(self._note, msgspec.json.encode(self._kept))
            self._stored = dict(self._kept)
        return unsent

    def _send(self, file: Path) -> None:
        name, model = _name(file), file.parent.name
        if name not in self._kept:
            self._kept[name] = self._sink.put(self._server, model, file.name, 0, b"")
        while frames := self._next(file):
            before = self._kept[name]
            self._kept[name] = self._sink.put(self._server, model, file.name, before, frames)
            if self._kept[name] <= before:  # somebody else's piece is there, and not listed yet
                raise StoreUnavailable(f"{file.name} at {before} is kept, and is not", "wait: it is tried again")

    def _next(self, file: Path) -> bytes:
        """Return what is to be sent next of a file."""
        kept = self._kept[_name(file)]
        return log.following(file, kept, PIECE_BYTES) if file.stat().st_size > kept else b""

    def _let_go(self, folder: Path) -> None:
        """Remove files that are acknowledged, old, and of use to no shadow."""
        model = folder.name
        kept = {name.partition("/")[2]: size for name, size in self._kept.items() if name.startswith(f"{model}/")}
        cursor = msgspec.json.encode(kept).decode()
        for file in retention.trim(self._root, model, [cursor], self._keep_seconds):
            self._kept.pop(f"{model}/{file}", None)  # an empty one may never have been sent


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _stored_offsets(note: Path) -> dict[str, int]:
    """Return how far the process before came: nowhere if it left no note, or half of one."""
    try:
        return msgspec.json.decode(note.read_bytes(), type=dict[str, int])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
