"""Supported file formats by suffix: CSV, JSON lines and Parquet, plain or compressed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    import pyarrow as pa

Reader = Callable[[bytes, str], "pa.Table"]
"""Content and where it lies, to rows as ``EventSource.read`` gives them."""
PACKED = (".gz", ".zst")
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
UNFINISHED = (".tmp", ".part", ".crdownload", ".filepart")
LARGEST_BYTES = 4 << 30
"""Unpacked; a small file must not fill the memory."""
BLOCK = 1 << 22


def is_read(name: str) -> bool:
    """Say whether files of a name are read."""
    return kind_of(name)[0] is not None


def is_taken(name: str) -> bool:
    """Say whether a file of a name is no draft, nor a mark."""
    is_hidden = name[0] == "." or (name[0] == "_" and not is_read(name))
    return not is_hidden and not name.lower().endswith(UNFINISHED)


def reader_of(name: str) -> Reader:
    """Return what reads a file.

    Raises:
        ContractBroken: nothing does.
    """
    kind, packing = kind_of(name)
    if kind is None:
        known = ", ".join(KINDS)
        raise ContractBroken(
            f"{name} is of no kind that is read", f"send it as {known}, or one of these with {' or '.join(PACKED)}"
        )
    return lambda data, where: _reader(kind)(unpacked(data, packing, where), where)


def kind_of(name: str) -> tuple[str | None, str]:
    """Return kind and packing of a file: None and "" of one that is not read, or as it is."""
    lower = name.lower()
    packing = next((suffix for suffix in PACKED if lower.endswith(suffix)), "")
    inner = lower.removesuffix(packing)
    return next((kind for suffix, kind in KINDS.items() if inner.endswith(suffix) and inner != suffix), None), packing


def _reader(kind: str) -> Reader:
    if kind == "csv":
        from loopline.resources.folder.csv_rows import read_rows
    elif kind == "jsonl":
        from loopline.resources.folder.jsonl_rows import read_rows
    else:
        from loopline.resources.folder.parquet_rows import read_rows
    return read_rows


def unpacked(data: bytes, packing: str, where: str) -> bytes:
    """Return what a file holds.

    Raises:
        ContractBroken: it cannot be unpacked.
    """
    if not packing:
        return data
    import pyarrow as pa

    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(data))
            if packing == ".gz"
            else pa.CompressedInputStream(pa.BufferReader(data), "zstd")
        ) as stream:
            return _bounded(stream, where)
    except (OSError, EOFError, zlib.error) as error:
        raise ContractBroken(f"{where} cannot be unpacked: {error}", f"send a whole file of {packing}") from error


def _bounded(stream: io.BufferedIOBase | pa.NativeFile, where: str) -> bytes:
    blocks, size = [], 0
    while block := stream.read(BLOCK):
        size += len(block)
        if size > LARGEST_BYTES:
            raise ContractBroken(f"{where} holds more than {LARGEST_BYTES >> 30} GiB unpacked", "send it in parts")
        blocks.append(block)
    return b"".join(blocks)
