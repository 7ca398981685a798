"""The prediction log: one frame a request, in the file before the answer is on the wire.

A frame is ``magic, length, crc32`` (12 bytes) and a msgpack array. A killed process may leave a torn frame at the end
of its file; a reader steps over it. Each worker writes files of its own, ``<worker>-<n>.frames``, and no others.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec

from platform_core.errors import StoreUnavailable

SUFFIX = ".frames"
SEGMENT_BYTES = 64 * 1024 * 1024
_MAGIC = b"LPF1"
_HEADER = struct.Struct("<4sII")


class Record(msgspec.Struct, array_like=True, gc=False):
    """A request and what was answered. ``scores`` is None when it failed; the lists have one entry a row.

    Times are the platform's: the online store was asked after ``asked_at_us`` and had answered by ``logged_at_us``.
    ``stale`` and ``asked_at_us`` are None in frames of before they were kept; a new field comes last and has a default.
    A shadow's record names in ``source`` the one that it repeats (its file, and the offset behind it), and has a
    latency only where its prediction was timed alone.
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


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class PredictionLog:
    """Writes the records of one worker; ``write`` from one thread, ``sync`` from another if you like."""

    def __init__(self, root: Path, worker: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._root, self._worker, self._segment_bytes = root, worker, segment_bytes
        self._open: dict[str, _Segment] = {}
        self._full: list[_Segment] = []

    def write(self, model: str, record: Record) -> None:
        """Append one record; when this returns, a killed process does not lose it.

        Raises:
            StoreUnavailable: the file takes no more.
        """
        self.write_many(model, [record])

    def write_many(self, model: str, records: Iterable[Record]) -> None:
        """Append records in one write: all of them, or none.

        Raises:
            StoreUnavailable: the file takes no more.
        """
        frames = b"".join(map(_frame, records))
        try:
            self._segment(model).append(frames)
        except OSError as error:
            raise StoreUnavailable(
                f"the prediction log of {model!r} takes no more: {error}", "free the disk"
            ) from error

    def sync(self) -> None:
        """Bring what was written to the disk, so that a power cut loses no more than came since."""
        full, self._full = self._full, []
        for segment in [*self._open.values(), *full]:
            segment.sync()
        for segment in full:
            segment.close()

    def close(self) -> None:
        """Sync and close every file."""
        self._full.extend(self._open.values())
        self._open = {}
        self.sync()

    def _segment(self, model: str) -> _Segment:
        current = self._open.get(model)
        if current is not None and current.size < self._segment_bytes:
            return current
        number = current.number + 1 if current else 0
        folder = log_folder(self._root, model)
        folder.mkdir(parents=True, exist_ok=True)
        segment = self._open[model] = _Segment(folder / f"{self._worker}-{number:06}{SUFFIX}", number)
        if current is not None:
            self._full.append(current)
        return segment


class _Segment:
    """One file of frames, written by one worker."""

    def __init__(self, file: Path, number: int) -> None:
        self.number = number
        self.size = 0
        self._synced = 0
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    def append(self, frames: bytes) -> None:
        """Write frames whole, or leave nothing of them."""
        written = os.write(self._file, frames)
        if written != len(frames):
            os.ftruncate(self._file, self.size)
            raise OSError(f"{written} of {len(frames)} bytes fitted")
        self.size += written

    def sync(self) -> None:
        """Wait until the disk has everything."""
        size = self.size
        if size != self._synced:
            os.fdatasync(self._file)
            self._synced = size

    def close(self) -> None:
        os.close(self._file)


def _frame(record: Record) -> bytes:
    payload = _encode(record)
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


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
