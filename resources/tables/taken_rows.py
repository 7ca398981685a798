"""Rows as text, as the contract wants them and as files of pages hold them; and which of them were taken."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import orjson

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


@dataclass
class TakenRows:
    """The rows of a window that were taken, counted: a row that is there twice is taken twice.

    They are compared by the columns that both have, so that a column which came or went makes no row another.
    """

    columns: Sequence[str]
    _counts: dict[tuple[int, ...], Counter[bytes]] = field(default_factory=dict)

    def add(self, content: bytes) -> None:
        """Count the rows of a page."""
        page, names = _unpacked(content), [MARK, *self.columns]
        shared = tuple(at for at, name in enumerate(names) if name in page.column_names)
        held = [page[names[at]].to_pylist() for at in shared]
        self._counts.setdefault(shared, Counter()).update(map(_hashed, zip(*held, strict=True)))

    def take(self, row: Texts) -> bool:
        """Say whether a row was taken; each that was is found once."""
        for shared, counts in self._counts.items():
            hashed = _hashed(tuple(row[at] for at in shared))
            if counts[hashed] > 0:
                counts[hashed] -= 1
                return True
        return False


def _unpacked(content: bytes) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    return parquet.read_table(pa.BufferReader(content))


def _hashed(row: Texts) -> bytes:
    return hashlib.blake2b(orjson.dumps(row), digest_size=16).digest()
