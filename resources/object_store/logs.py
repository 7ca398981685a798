"""Log store on an object store: prediction logs as pieces of the workers' files.

``<prefix>/log/<model>/<server>.<worker>/<number>-<offset>.frames`` holds what stands in the worker's file of that
number from that offset on: keys sort as the records were written, and the same piece has the same key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.contracts.log_store import LogSink, LogStore
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.prediction_log import log, log_table
from loopline.resources.object_store.objects import at_once

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.object_store.objects import Found, Objects

_LOG = "log"
_PIECE = re.compile(rf"/(\d+)-(\d+){re.escape(log.SUFFIX)}$")
_DELETED_AT_ONCE = 1000
LAST_STAYS = timedelta(days=1)
"""How much longer the last piece of a writer stays: he may have been cut off, and asks how far he had come."""
Place = tuple[int, int]
"""How far a writer is read: the number of its file, and the offset in it."""


class ObjectLogs(LogStore, LogSink):
    """Logs below a prefix; a writer is read on by one listing that begins where the cursor is.

    A step of a rollout is judged by all that came since it began: a piece a second and worker, thousands in an hour.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Write a piece if its key is free; otherwise say how far the piece that has it reaches."""
        worker, _, number = file.removesuffix(log.SUFFIX).rpartition("-")
        folder = f"{_LOG}/{model}/{server}.{worker}"
        if frames and self._objects.write_if(f"{folder}/{_name((int(number), offset))}", frames, None):
            return offset + len(frames)
        pieces = self._objects.listed(folder, f"{int(number):06}-")
        return max((_end(one) for one in pieces if _start(one)[0] == int(number)), default=0)

    def read(self, model: str, after: str | None) -> tuple[pa.Table, str]:
        """Read each writer's new pieces."""
        import pyarrow as pa

        places = _places(after)
        tables = [log_table.table([])]
        pieces = list(self._pieces(model, places))
        read = at_once(self._objects.read, [piece.key for _, piece in pieces])
        for (writer, piece), found in zip(pieces, read, strict=True):
            if found:
                tables.append(log_table.table(log.records(found[0])))
            places[writer] = (_start(piece)[0], _end(piece))
        return pa.concat_tables(tables).combine_chunks(), _cursor(places)

    def end(self, model: str, after: str | None) -> str:
        """List alone."""
        places = _places(after)
        for writer, piece in self._pieces(model, places):
            places[writer] = (_start(piece)[0], _end(piece))
        return _cursor(places)

    def forget(self, model: str, cursors: Sequence[str], keep_seconds: float) -> int:
        """Delete pieces by the store's own times; a writer's last one stays longer, since it tells where he goes on."""
        if not cursors:
            return 0
        read = [_places(cursor) for cursor in cursors]
        before = datetime.now(UTC) - timedelta(seconds=keep_seconds)
        pieces = list(self._pieces(model, {}))
        last = {writer: piece.key for writer, piece in pieces}
        old = [
            piece.key
            for writer, piece in pieces
            if piece.written_at < (before - LAST_STAYS if piece.key == last[writer] else before)
            and all((_start(piece)[0], _end(piece)) <= places.get(writer, (0, 0)) for places in read)
        ]
        for first in range(0, len(old), _DELETED_AT_ONCE):
            self._objects.delete(old[first : first + _DELETED_AT_ONCE])
        return len(old)

    def _pieces(self, model: str, places: dict[str, Place]) -> Iterator[tuple[str, Found]]:
        """Give the pieces behind a place of each writer, in its order."""

        def listed(writer: str) -> list[Found]:
            number, offset = places.get(writer, (0, 0))
            behind = _name((number, offset - 1)) if offset else f"{number:06}-"
            return self._objects.listed(f"{_LOG}/{model}/{writer}", behind)

        writers = self._objects.folders(f"{_LOG}/{model}")
        for writer, pieces in zip(writers, at_once(listed, writers), strict=True):
            for piece in pieces:
                yield writer, piece


def _name(place: Place) -> str:
    return f"{place[0]:06}-{place[1]:012}{log.SUFFIX}"


def _start(piece: Found) -> Place:
    """Return where a piece begins.

    Raises:
        ContractBroken: somebody else's object lies among the pieces.
    """
    named = _PIECE.search(piece.key)
    if named is None:
        raise ContractBroken(f"{piece.key} is no piece of a prediction log", "move it out of this prefix")
    return int(named[1]), int(named[2])


def _end(piece: Found) -> int:
    return _start(piece)[1] + piece.size


def _places(cursor: str | None) -> dict[str, Place]:
    return log_table.decoded(cursor, dict[str, Place])


def _cursor(places: dict[str, Place]) -> str:
    return msgspec.json.encode(places).decode()
