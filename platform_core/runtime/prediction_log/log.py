"""Prediction log file format: one frame a request, written to the file before the answer is sent.

A frame is ``magic, length, crc32`` (12 bytes) and a msgpack array. A killed process may leave a torn frame at the end
of its file; a reader steps over it. Each worker writes files of its own, ``<worker>-<n>.frames``, and no others.
"""

from __future__ import annotations

import errno
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.runtime.prediction_log import open_files
from loopline.platform_core.runtime.prediction_log.segment import Segment

if TYPE_CHECKING:
    from loopline.platform_core.runtime.prediction_log.log_room import LogRoom

SUFFIX = ".frames"
SEGMENT_BYTES = 64 * 1024 * 1024
_CLOSED_AT_ONCE = 64
_MAGIC = b"LPF1"
_HEADER = struct.Struct("<4sII")


class Record(msgspec.Struct, array_like=True, gc=False):
    """A request and what was answered; the lists have one entry a row.

    ``scores`` are the readings of the model's target, one number a row, None when it failed. Where a row has more
    numbers than one, ``raw`` holds all of them; else it is None.

    Times are the platform's: the online store was asked after ``asked_at_us`` and had answered by ``logged_at_us``.
    ``stale`` and ``asked_at_us`` are None in frames of before they were kept; a new field comes last and has a default.
    A shadow's record names in ``source`` the one that it repeats (its file, and the offset behind it), and has a
    latency only where its prediction was timed alone; then ``beside_ms`` is that of the version that answered, timed
    next to it, where that version is at hand. ``image`` is that of the server that answered, where it runs one.
    """

    request_id: str
    event_time_us: int
    logged_at_us: int
    version: str
    cycle: str
    role: str
    status: int
    latency_ms: float | None
    scores: list[float] | None
    keys: list[str]
    features: list[str]
    missing: list[list[str]]
    stale: list[list[str]] | None = None
    asked_at_us: int | None = None
    source: tuple[str, int] | None = None
    beside_ms: float | None = None
    raw: list[list[float]] | None = None
    image: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


Keep = Callable[[str, Path, int], None]
"""Sees to it that a model's file is kept elsewhere up to a size (bytes), before anything of it is answered."""


class PredictionLog:
    """Writes the records of one worker; ``write`` from one thread, ``sync`` from another if you like.

    A file stays open for the next record. Beyond ``most_open`` those are closed that nobody wrote to since the last
    ``sync``, and opened again for the next record of their model.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each has what is usual
        self,
        root: Path,
        worker: str,
        segment_bytes: int = SEGMENT_BYTES,
        most_open: int | None = None,
        keep: Keep | None = None,
        room: LogRoom | None = None,
    ) -> None:
        self._root, self._worker, self._segment_bytes = root, worker, segment_bytes
        self._keep, self._room = keep, room
        self._most_open = open_files.for_logs() if most_open is None else most_open
        self._open: dict[str, Segment] = {}
        self._full: deque[Segment] = deque()
        self._numbers: dict[str, int] = {}
        self._syncing = threading.Lock()

    def write(self, model: str, record: Record) -> None:
        """Append one record; when this returns, a killed process does not lose it.

        Raises:
            StoreUnavailable: the file takes no more. QuotaReached: the environment's logs take no more.
        """
        self.write_many(model, [record])

    def write_many(self, model: str, records: Iterable[Record]) -> None:
        """Append records in one write: all of them, or none; with ``keep`` they are kept elsewhere too.

        Raises:
            StoreUnavailable: the file takes no more, or they are in it and not kept elsewhere.
            QuotaReached: the environment's logs take no more.
        """
        frames = b"".join(map(_frame, records))
        if self._room is not None:
            self._room.take(model, len(frames))
        try:
            segment = self._segment(model)
            segment.append(frames)
        except OSError as error:
            fix = "let the server open more files (ulimit -n)" if error.errno == errno.EMFILE else "free the disk"
            raise StoreUnavailable(f"the prediction log of {model!r} takes no more: {error}", fix) from error
        if self._keep is not None:
            self._keep(model, self._file(model, self._numbers[model]), segment.size)

    @property
    def is_on_disk(self) -> bool:
        """Say whether there is nothing to bring to the disk."""
        return not self._full and all(segment.is_on_disk for segment in self._open.values())

    def sync(self) -> None:
        """Bring what was written to the disk, so that a power cut loses no more than came since."""
        with self._syncing:
            for segment in [*self._open.values()]:
                segment.sync()
            self._close_full()

    def _close_full(self) -> None:
        while self._full:
            self._full[0].sync()
            self._full.popleft().close()

    def close(self) -> None:
        """Sync and close every file."""
        self._full.extend(self._open.values())
        self._open = {}
        self.sync()

    def _segment(self, model: str) -> Segment:
        current = self._open.get(model)
        if current is not None and current.size < self._segment_bytes:
            return current
        if current is not None:
            self._full.append(self._open.pop(model))
        elif len(self._open) >= self._most_open:
            self._make_room()
        segment = self._open[model] = (None if current else self._again(model)) or self._next(model)
        return segment

    def _next(self, model: str) -> Segment:
        """Begin a model's next file."""
        number = self._numbers.get(model, -1) + 1
        file = self._file(model, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        segment = Segment(file, is_new=True)
        self._numbers[model] = number
        return segment

    def _again(self, model: str) -> Segment | None:
        """Open a model's last file again, if it was closed to make room, is not full and has not been taken away."""
        number = self._numbers.get(model)
        if number is None:
            return None
        file = self._file(model, number)
        try:
            return Segment(file) if file.stat().st_size < self._segment_bytes else None
        except FileNotFoundError:
            return None

    def _make_room(self) -> None:
        """Close some files, those opened first; ones that are not on the disk yet are left to the next sync, if few."""
        on_disk = (model for model, segment in self._open.items() if segment.is_on_disk)
        models = list(islice(on_disk, _CLOSED_AT_ONCE))
        for model in models:
            self._open.pop(model).close()
        if not models:
            self._full.append(self._open.pop(next(iter(self._open))))
        if len(self._full) > self._most_open // 2:
            with self._syncing:
                self._close_full()

    def _file(self, model: str, number: int) -> Path:
        return log_folder(self._root, model) / f"{self._worker}-{number:06}{SUFFIX}"


def _frame(record: Record) -> bytes:
    return frame(_encode(record))


def frame(payload: bytes) -> bytes:
    """Return a record's bytes as they stand in a file."""
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


def placed(frames: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where each whole frame begins, and its record's bytes."""
    for payload, after in _frames(frames):
        yield after - len(payload) - _HEADER.size, bytes(payload)


def log_folder(root: Path, model: str) -> Path:
    """Return the folder of a model's log."""
    return root / "log" / model


def read(file: Path, offset: int = 0, most: int = 1000) -> Iterator[tuple[list[Record], int]]:
    """Read the whole frames after an offset, stepping over torn ones.

    Yields:
        At most so many records, and the offset behind the last: what is still being written is read the next time.
    """
    placed = each(file, offset)
    while batch := list(islice(placed, most)):
        yield [record for record, _ in batch], batch[-1][1]


def each(file: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    """Read the whole frames after an offset one by one, each with the offset behind it."""
    with file.open("rb") as stream:
        stream.seek(offset)
        data = stream.read()
    for payload, after in _frames(data):
        yield _decode(payload), offset + after


def records(frames: bytes) -> list[Record]:
    """Return the records of whole frames, stepping over what is none."""
    return [_decode(payload) for payload, _ in _frames(frames)]


def whole(frames: bytes) -> int:
    """Return the offset behind the last whole frame, 0 if there is none."""
    return max((after for _, after in _frames(frames)), default=0)


def following(file: Path, offset: int, most: int) -> bytes:
    """Return the next whole frames of a file, of so many bytes; of one that is longer than that, all of it."""
    while True:
        with file.open("rb") as stream:
            stream.seek(offset)
            frames = stream.read(most)
        if (end := whole(frames)) or len(frames) < most:
            return frames[:end]
        most *= 4


def cut(frames: bytes, most: int) -> Iterator[bytes]:
    """Cut whole frames into pieces of so many bytes at most; a frame that is longer is a piece by itself."""
    start = end = 0
    for _, after in _frames(frames):
        if after - start > most and end > start:
            yield frames[start:end]
            start = end
        end = after
    if start < len(frames):
        yield frames[start:]


def _frames(data: bytes) -> Iterator[tuple[memoryview, int]]:
    view, at = memoryview(data), 0
    while at >= 0:
        payload = _payload(view, at)
        if payload is None:
            at = data.find(_MAGIC, at + 1)
        else:
            at += _HEADER.size + len(payload)
            yield payload, at


def _payload(view: memoryview, at: int) -> memoryview | None:
    """Return the payload of the frame at a place, None if there is no whole frame."""
    start = at + _HEADER.size
    if start > len(view):
        return None
    magic, length, checksum = _HEADER.unpack_from(view, at)
    payload = view[start : start + length]
    whole = magic == _MAGIC and len(payload) == length and zlib.crc32(payload) == checksum
    return payload if whole else None
