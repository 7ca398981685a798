"""Records as lines of a file, appended by several processes under a lock."""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from loopline.platform_core.contracts.event_stream import Record

BLOCK = 1 << 16


def by_partition(records: Sequence[Record], partitions: int, more: Mapping[str, str] | None = None) -> dict[int, bytes]:
    """Write records as lines, those of each partition together; ``more`` is written into each line."""
    lines: dict[int, list[bytes]] = {}
    for record in records:
        spread_by = record.value if record.key is None else record.key
        lines.setdefault(zlib.crc32(spread_by or b"") % partitions, []).append(_line(record, more or {}))
    return {partition: b"".join(own) for partition, own in lines.items()}


def _line(record: Record, more: Mapping[str, str]) -> bytes:
    import orjson

    fields = {"at": time.time_ns() // 1000, **more} | _text("key", record.key) | _text("value", record.value)
    return orjson.dumps(fields | ({"headers": dict(record.headers)} if record.headers else {})) + b"\n"


def _text(name: str, given: bytes | None) -> dict[str, str]:
    if given is None:
        return {}
    try:
        return {name: given.decode()}
    except UnicodeDecodeError:
        return {f"{name}64": b64encode(given).decode()}


def content(held: Mapping[str, Any], name: str) -> bytes | None:
    """Return the key or value of a line."""
    if f"{name}64" in held:
        return b64decode(held[f"{name}64"], validate=True)
    return held[name].encode() if name in held else None


def append(path: Path, lines: bytes) -> None:
    """Append lines once nobody else does, and have the disk keep them."""
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go with the file, also by a kill
        add(file, lines)


def add(file: BinaryIO, lines: bytes) -> None:
    """Append lines to a file that is locked; a torn one at its end goes."""
    file.truncate(whole(file))
    file.write(lines)
    file.flush()
    os.fsync(file.fileno())


def end(path: Path) -> int:
    """Return where the last whole line of a file ends."""
    with path.open("rb") as file:
        return whole(file)


def whole(file: BinaryIO) -> int:
    """Return where the last whole line ends."""
    at = file.seek(0, os.SEEK_END)
    while at:
        start = max(at - BLOCK, 0)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0
