"""Log store on Kafka: each model's prediction log is a topic of one partition.

A record holds whole frames of a worker's file. What is sent twice lies there twice and is read once: a reader knows how
far it is in each file. A sender that begins anew reads the topic once, to know how far each file has come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.log_store import LogSink, LogStore
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.runtime.prediction_log import log, log_table

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.kafka.event_stream import KafkaEventStream

_PARTITION = 0
_READ_AT_ONCE = 500
_MOST_BYTES = 512 * 1024
"""Half of what a broker takes as one record, unless it is told otherwise."""


class _Places(msgspec.Struct):
    """How far a log is read: the topic's offset, and by file how many of its bytes."""

    offset: int = 0
    files: dict[str, int] = {}


class _Piece(NamedTuple):
    file: str
    start: int
    frames: bytes


class KafkaLogs(LogStore, LogSink):
    """Logs in topics ``<prefix>.<model>``; ``events`` makes them with one partition and its replication."""

    def __init__(self, events: KafkaEventStream, prefix: str = "loopline-log") -> None:
        self._events, self._prefix = events, prefix
        self._kept: dict[str, _Places] = {}
        self._alone = threading.Lock()

    def put(self, server: str, model: str, file: str, offset: int, frames: bytes) -> int:
        """Publish what is not kept, in records that the broker takes, until all replicas in sync have each."""
        named = f"{server}/{file}"
        with self._alone:
            kept = self._known(model)
            before = kept.files.get(named, offset if frames else 0)  # what was let go was kept, as its sender knows
            if not offset <= before < offset + len(frames):
                return before
            for piece in log.cut(frames[before - offset :], _MOST_BYTES):
                self._events.publish(self._stream(model), [Record(piece, f"{named}:{before}".encode())])
                before += len(piece)
                kept.files[named] = before
            return before

    def keep(self, server: str, model: str, file: Path, size: int) -> None:
        """Have a file kept up to a size, together with what could not be sent before.

        Raises:
            StoreUnavailable: not all of it is.
        """
        kept = self.put(server, model, file.name, 0, b"")
        while kept < size:
            frames = log.following(file, kept, _MOST_BYTES)
            if not frames:
                raise StoreUnavailable(f"{file.name} is not kept behind {kept}", "look at the file: it is no log's")
            try:
                kept = self.put(server, model, file.name, kept, frames)
            except ContractBroken as error:  # a request that is larger than the broker takes
                self._step_over(model, f"{server}/{file.name}", kept, frames)
                raise StoreUnavailable(error.problem, error.fix) from error

    def _step_over(self, model: str, named: str, offset: int, frames: bytes) -> None:
        """Go on behind the piece that was refused: no caller had an answer of it, and those behind want theirs."""
        with self._alone:
            files = self._known(model).files
            at = files.get(named, offset)
            files[named] = at + len(next(log.cut(frames[at - offset :], _MOST_BYTES)))

    def read(self, model: str, after: str | None) -> tuple[pa.Table, str]:
        """Read the topic on, and of each file what was not read."""
        import pyarrow as pa

        places = log_table.decoded(after, _Places)
        tables = [log_table.table(log.records(piece.frames)) for piece in self._pieces(model, places)]
        return pa.concat_tables([log_table.table([]), *tables]).combine_chunks(), _encoded(places)

    def end(self, model: str, after: str | None) -> str:
        """Read the topic on for its places alone."""
        places = log_table.decoded(after, _Places)
        for _ in self._pieces(model, places):
            pass
        return _encoded(places)

    def forget(self, model: str, cursors: Sequence[str], keep_seconds: float) -> int:
        """Let the topic go up to what everybody has read and is older."""
        if not cursors:
            return 0
        read = min(log_table.decoded(cursor, _Places).offset for cursor in cursors)
        before_ms = int((time.time() - keep_seconds) * 1000)
        return self._events.let_go(self._stream(model), _PARTITION, read, before_ms)

    def _known(self, model: str) -> _Places:
        """Return how far each file has come, by what was put here and what others have put there."""
        if model not in self._kept:
            kept = _Places(0, {})
            for _ in self._pieces(model, kept):
                pass
            self._kept[model] = kept
        return self._kept[model]

    def _pieces(self, model: str, places: _Places) -> Iterator[_Piece]:
        """Give what is new behind the places, which go along."""
        stream = self._stream(model)
        end = self._events.ends(stream).get(_PARTITION, 0)
        while places.offset < end:
            first = {_PARTITION: places.offset} if places.offset else {}
            rows = self._events.read(stream, first, _READ_AT_ONCE).to_pylist()
            for row in rows:
                file, start = _named(row["key"])
                done = places.files.get(file, 0)
                reached = start + len(row["value"])
                places.files[file] = max(done, reached)
                if reached > done:
                    yield _Piece(file, max(start, done), row["value"][max(0, done - start) :])
            places.offset = rows[-1]["next"] if rows else end

    def _stream(self, model: str) -> str:
        return f"{self._prefix}/{model}"


def _named(key: bytes | None) -> tuple[str, int]:
    try:
        file, _, start = (key or b"").decode().rpartition(":")
        return file, int(start)
    except ValueError as error:
        raise ContractBroken(
            f"a record with the key {key!r} is no piece of a prediction log", "let nobody else write to this topic"
        ) from error


def _encoded(places: _Places) -> str:
    return msgspec.json.encode(places).decode()
