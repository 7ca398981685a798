"""Erasure of persons' rows from a prediction log, in place.

Cursors name bytes of a file, and its writer goes on at the end of it: so a frame keeps its place and its length. What
is left of its request is written over it, and filled up with nothing. A frame of which no row is left says that it was
there, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import Record

_encode = msgspec.msgpack.Encoder().encode
_by_row = [Record.__struct_fields__.index(n) for n in ("scores", "keys", "features", "missing", "stale", "raw")]
_KEYS = Record.__struct_fields__.index("keys")
_FEW = 64
"""Bytes that are filled up one by one; more are filled by a text of that length, but for these."""


def blank(root: Path, model: str, keys: Collection[str]) -> int:
    """Take the rows whose keys are among these out of all files of a model's log; return how many there were."""
    wanted = frozenset(keys)
    files = sorted(log.log_folder(root, model).glob(f"*{log.SUFFIX}"))
    return sum(_blanked(file, wanted) for file in files) if wanted else 0


def _blanked(file: Path, keys: frozenset[str]) -> int:
    count = 0
    with file.open("r+b", buffering=0) as stream:
        for start, payload in log.placed(file.read_bytes()):
            fields = msgspec.msgpack.decode(payload)
            kept = [place for place, key in enumerate(fields[_KEYS]) if key not in keys]
            if len(kept) == len(fields[_KEYS]):
                continue
            count += len(fields[_KEYS]) - len(kept)
            frame = log.frame(_filled(_left(fields, kept), len(payload)))
            os.pwrite(stream.fileno(), frame, start)
        os.fdatasync(stream.fileno())
    return count


def _left(fields: list[Any], kept: list[int]) -> list[Any]:
    """Return a record's fields with the rows that are kept, all fields of today: readers look no further."""
    left = [*fields, *[None] * (len(Record.__struct_fields__) - len(fields))]
    for place in _by_row:
        if place < len(left) and left[place] is not None:
            left[place] = [left[place][row] for row in kept]
    return left


def _filled(fields: list[Any], size: int) -> bytes:
    """Encode fields with so much behind them, which readers pass over, that it has a size.

    Raises:
        ValueError: it cannot be filled up to this size.
    """
    for filling in _fillings(size - len(_encode(fields))):
        encoded = _encode([*fields, *filling])
        if len(encoded) == size:
            return encoded
    raise ValueError(f"{len(_encode(fields))} bytes cannot be filled up to {size}")


def _fillings(room: int) -> Iterator[list[Any]]:
    """Yield what may fill about so many bytes; nulls are a byte each, and what counts them is longer beyond fifteen."""
    text = "" if room <= _FEW else " " * (room - _FEW)
    for nulls in range(min(room, _FEW + 8), -1, -1):
        yield [*([text] if text else []), *[None] * nulls]
