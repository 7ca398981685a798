"""Removes lines (erased persons' rows) from a file that has landed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import LINE
from loopline.resources.folder import file_kinds
from loopline.resources.folder.arrival_log import FileState

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.folder.landing_folder import LandingFolder

DRAFT = ".redacted."
"""Begins the name under which a file is written before it takes the place of the whole one; nobody takes it for one."""


def redact(
    folder: LandingFolder, name: str, content: str, lines: Collection[int], landed: Callable[[str], None]
) -> None:
    """Write a file without some lines; of one that is another by now, or has none of them, nothing is done.

    Raises:
        StoreUnavailable: the folder cannot be written.
    """
    path = folder.path / name
    try:
        data, at = path.read_bytes(), path.stat()
    except OSError:
        return
    if hashlib.sha256(data).hexdigest() != content:
        return
    left = _without(data, name, lines)
    if left is None:
        return
    state = FileState(name, len(left), at.st_mtime_ns, hashlib.sha256(left).hexdigest())
    draft = path.with_name(f"{DRAFT}{name}")
    try:
        draft.write_bytes(left)
        os.utime(draft, ns=(at.st_atime_ns, at.st_mtime_ns))
        draft.chmod(at.st_mode)
        landed(folder.log.next_id(state))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreUnavailable(f"{path} cannot be written anew: {error}", "let the platform write there") from error


def _without(data: bytes, name: str, lines: Collection[int]) -> bytes | None:
    """Return a file's content without lines, packed as it was; None where it has none of them."""
    rows = file_kinds.reader_of(name)(data, name)
    kind, packing = file_kinds.kind_of(name)
    plain = file_kinds.unpacked(data, packing, name)
    there = set(rows[LINE].to_pylist())
    if there.isdisjoint(lines):
        return None
    left = _rows(plain, lines) if kind == "parquet" else _text(plain, sorted(there), lines)
    return _packed(left, packing)


def _text(data: bytes, there: list[int], lines: Collection[int]) -> bytes:
    """Leave out each row's lines, up to the next row's: a quoted row may span several."""
    *ended, last = data.split(b"\n")
    whole = [line + b"\n" for line in ended] + [last]
    ends = dict(zip(there, [*there[1:], len(whole) + 1], strict=True))
    gone = {number for line in lines if line in ends for number in range(line, ends[line])}
    return b"".join(line for number, line in enumerate(whole, 1) if number not in gone)


def _rows(data: bytes, lines: Collection[int]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    rows: pa.Table = parquet.read_table(pa.BufferReader(data))
    kept = pa.array([place + 1 not in lines for place in range(len(rows))], pa.bool_())
    sink = io.BytesIO()
    parquet.write_table(rows.filter(kept), sink)
    return sink.getvalue()


def _packed(data: bytes, packing: str) -> bytes:
    if packing == ".gz":
        return gzip.compress(data, mtime=0)
    if not packing:
        return data
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())
