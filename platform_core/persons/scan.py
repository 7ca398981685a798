"""Byte-level search of the installation's files for a person's keys.

Parquet and Arrow files are read, databases of SQLite table by table, packed files unpacked, all else as bytes: UTF-8,
UTF-16, Latin-1, or JSON's escapes. A short key is in many a file by chance, so that bytes are looked through for keys
of some length only, and as whole words.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from loopline.platform_core.ingestion.erased_rows import SHORTEST
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.persons.subject import Subject
    from loopline.platform_core.platform import Platform

_SQLITE = b"SQLite format 3\0"
_PIECE = 64 << 20
"""Bytes of a file that are looked at together."""
_OVERLAP = 64 << 10
"""Bytes of a piece that are looked at with the next one again: longer than any key."""
_URL = "sqlite:///"


def files(platform: Platform, subject: Subject) -> list[str]:
    """Name the files in which all keys of a person stand; a key in a name gives way to its pseudonym."""
    found = [path for path in _files(platform) if _holds(path, subject)]
    return sorted(subject.without_keys(str(path)) for path in found)


def roots(platform: Platform) -> list[Path]:
    """Return the folders and files of this machine that the environment names, and the home."""
    bound = [platform.environment.bindings.values(), platform.environment.notifiers.values()]
    said = [getattr(vendor, name) for vendors in bound for vendor in vendors for name in type(vendor).model_fields]
    texts = [one.removeprefix(_URL) for one in (*said, platform.environment.ledger) if isinstance(one, str)]
    named = [Path(unquote(text)) for text in texts if text.startswith("/")]
    return [platform.home, *(path for path in named if path.exists())]


def _files(platform: Platform) -> set[Path]:
    every: set[Path] = set()
    for root in roots(platform):
        if root.is_file():
            every |= {root, *root.parent.glob(f"{root.name}-*")}
        for folder, _, names in os.walk(root):
            every |= {Path(folder, name) for name in names}
    return {path.resolve() for path in every}


def _holds(path: Path, subject: Subject) -> bool:
    try:
        if not path.is_file():
            return False
        return _in_bytes(os.fsencode(path.name), subject) or _read(path, subject)
    except OSError:  # it went while it was looked at
        return False


def _read(path: Path, subject: Subject) -> bool:
    with path.open("rb") as file:
        head = file.read(len(_SQLITE))
    if path.suffix == ".parquet" or head.startswith((b"PAR1", b"ARROW1")):
        return _in_table(path, subject)
    if head == _SQLITE:
        return _in_database(path, subject) or _in_file(path, subject)
    return (head[:2] == b"\x1f\x8b" and _in_packed(path, subject)) or _in_file(path, subject)


def _in_packed(path: Path, subject: Subject) -> bool:
    try:
        with gzip.open(path) as file:
            return _in_pieces(file, subject)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False


def _in_file(path: Path, subject: Subject) -> bool:
    with path.open("rb") as file:
        return _in_pieces(file, subject)


def _in_pieces(file: IO[bytes] | gzip.GzipFile, subject: Subject) -> bool:
    """Look piece by piece: a file may be larger than the memory."""
    missing, before = _patterns(subject), b""
    while missing and (piece := file.read(_PIECE)):
        data = before + piece
        missing = [pattern for pattern in missing if not pattern.search(data)]
        before = data[-_OVERLAP:]
        if not missing:
            return True
    return False


def _in_bytes(data: bytes, subject: Subject) -> bool:
    """Look for each key as a word."""
    patterns = _patterns(subject)
    return bool(patterns) and all(pattern.search(data) for pattern in patterns)


def _patterns(subject: Subject) -> list[re.Pattern[bytes]]:
    """Return of each key that is long enough how it may be written."""
    return [_written(key) for key in subject.keys.values() if len(key) >= SHORTEST]


@lru_cache(maxsize=8)
def _written(key: str) -> re.Pattern[bytes]:
    letter = rb"[0-9A-Za-z]"
    as_json = json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]
    one = {text.encode() for text in (key, *as_json)} | ({key.encode("latin-1")} if max(key) <= "\xff" else set())
    ways = [rb"(?<!%b)(?:%b)(?!%b)" % (letter, rb"|".join(map(re.escape, sorted(one))), letter)]
    for encoding, around in (("utf-16-le", letter + rb"\x00"), ("utf-16-be", rb"\x00" + letter)):
        ways.append(rb"(?<!%b)%b(?!%b)" % (around, re.escape(key.encode(encoding)), around))
    return re.compile(rb"|".join(ways))


def _in_table(path: Path, subject: Subject) -> bool:
    """Look through a table batch by batch, and through bytes where it is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if path.suffix == ".arrow":
            return _is_in(pa.ipc.open_file(path).read_all(), subject)
        with parquet.ParquetFile(path) as file:
            return any(_is_in(pa.table(batch), subject) for batch in file.iter_batches())
    except (pa.ArrowException, OSError):
        return _in_file(path, subject)


def _is_in(table: pa.Table, subject: Subject) -> bool:
    """Look through columns of an entity's name by value, and through texts for the keys."""
    if set(subject.entities) <= set(table.column_names):
        columns = zip(*(map(personal.text, table[entity].to_pylist()) for entity in subject.entities), strict=True)
        if tuple(subject.keys[entity] for entity in subject.entities) in set(columns):
            return True
    return any(_in_bytes(text, subject) for text in _texts(table))


def _texts(table: Any) -> Iterator[bytes]:
    for name in table.column_names:
        yield "\n".join({str(value) for value in table[name].to_pylist() if value is not None}).encode()


def _in_database(path: Path, subject: Subject) -> bool:
    """Look through every column of every table; bytes of pages that are free are looked through beside."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda text: text.decode(errors="replace")
            names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
            quoted = [name.replace('"', '""') for name in names]
            return any(_in_rows(connection.execute(f'select * from "{name}"'), subject) for name in quoted)  # noqa: S608
    except sqlite3.Error:
        return False


def _in_rows(rows: Any, subject: Subject) -> bool:
    columns = [one[0] for one in rows.description or ()]
    keys = set(subject.keys.values())
    for row in rows:
        named = dict(zip(columns, row, strict=True))
        if columns and all(personal.text(named.get(e)) == key for e, key in subject.keys.items()):
            return True
        if len(keys) == 1 and "key" in named and named["key"] in keys:  # the online store's
            return True
        text = "\n".join(str(value) for value in row if isinstance(value, str)).encode()
        if _in_bytes(text, subject):
            return True
    return False
