"""Pulled rows as text and Parquet, and which of them the last pull already had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from loopline.resources.tables import watermarks
from loopline.resources.tables.watermarks import Kind, Mark
from loopline.resources.taking import page_log

if TYPE_CHECKING:
    import pyarrow as pa

MARK = "_watermark"
"""The column of a page's file that is no column of its rows."""
Texts = tuple["str | None", ...]


def text(value: Any) -> str | None:
    """Write a value: instants and days by ISO 8601, numbers as they are, arrays as JSON, bytes in hexadecimal."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return orjson.dumps(value, default=str).decode() if isinstance(value, list) else str(value)


def packed(columns: Sequence[str], rows: Sequence[Texts]) -> bytes:
    """Write rows, each with its watermark first, as a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    held = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(held, names=[MARK, *columns]), sink, compression="zstd")
    return bytes(sink.getvalue())


def digest(columns: Sequence[str], rows: Iterable[Texts]) -> str:
    """Name rows by what they hold, without their watermarks."""
    hashed = hashlib.sha256(orjson.dumps([*columns]))
    for row in rows:
        hashed.update(orjson.dumps(row[1:]))
    return hashed.hexdigest()


class Section(msgspec.Struct, frozen=True, array_like=True):
    """Rows of an answer by the columns that they are known by: a watermark, and their digests one behind the other."""

    columns: tuple[str, ...]
    rows: list[tuple[str, bytes]]


@dataclass
class TakenRows:
    """The rows of a window that were there at the last look, counted: a row that is there twice is taken twice.

    They are compared by the columns that both have, so that a column which came or went makes no row another.
    """

    columns: Sequence[str]
    _left: dict[tuple[str, ...], dict[bytes, tuple[Mark, int]]] = field(default_factory=dict)
    _seen: list[tuple[Mark, bytes]] = field(default_factory=list)

    def add_answer(self, content: bytes, kind: Kind) -> bool:
        """Count the rows of the last look's answer; say whether they can be compared: none lacks a column by now."""
        sections = msgspec.msgpack.decode(content, type=list[Section])
        if any({*section.columns} - {MARK, *self.columns} for section in sections):
            return False
        for section in sections:
            for text, digests in section.rows:
                mark = watermarks.read(kind, text)
                for one in page_log.digests_in(digests):
                    self._count(section.columns, mark, one)
        return True

    def add_page(self, content: bytes, kind: Kind, start: Mark) -> None:
        """Count the rows of a page from a watermark on."""
        page = _unpacked(content)
        shared = tuple(name for name in (MARK, *self.columns) if name in page.column_names)
        for row in zip(*(page[name].to_pylist() for name in shared), strict=True):
            mark = watermarks.read(kind, row[0])
            if mark >= start:  # type: ignore[operator]
                self._count(shared, mark, _hashed(row))

    def knows(self, row: Texts) -> bool:
        """Say whether a row was there; each that was is found once."""
        named = dict(zip((MARK, *self.columns), row, strict=True))
        for columns, left in self._left.items():
            digest = _hashed([named[name] for name in columns])
            mark, count = left.get(digest, (0, 0))
            if count:
                left[digest] = mark, count - 1
                return True
        return False

    def see(self, mark: Mark, row: Texts) -> None:
        """Let a row be one of this look's answer."""
        self._seen.append((mark, _hashed(row)))

    def answer(self, start: Mark, reached: Mark | None) -> bytes:
        """Write the rows from ``start`` on: of this look, and beyond what it has ``reached`` those of the last."""
        self._seen = [(mark, digest) for mark, digest in self._seen if mark >= start]  # type: ignore[operator]
        held = {(MARK, *self.columns): [*self._seen]}
        if reached is not None:
            for columns, left in self._left.items():
                held.setdefault(columns, []).extend(
                    (mark, digest)
                    for digest, (mark, count) in left.items()
                    for _ in range(count)
                    if mark >= start and (mark >= reached or not watermarks.is_bounded(reached))  # type: ignore[operator]
                )
        return msgspec.msgpack.encode([Section(columns, _by_mark(rows)) for columns, rows in held.items()])

    def _count(self, columns: tuple[str, ...], mark: Mark, digest: bytes) -> None:
        left = self._left.setdefault(columns, {})
        left[digest] = mark, left.get(digest, (mark, 0))[1] + 1


def _by_mark(rows: Iterable[tuple[Mark, bytes]]) -> list[tuple[str, bytes]]:
    found: dict[Mark, list[bytes]] = {}
    for mark, digest in rows:
        found.setdefault(mark, []).append(digest)
    return [(watermarks.written(mark), b"".join(digests)) for mark, digests in found.items()]


def _unpacked(content: bytes) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    return parquet.read_table(pa.BufferReader(content))


def _hashed(row: Sequence[str | None]) -> bytes:
    return page_log.digest(orjson.dumps(row))
