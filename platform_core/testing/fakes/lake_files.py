"""Files of the in-memory lake: the rows of each append, and a log that names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.lake_files import LakeFiles, StoredFile, TableFiles
from loopline.platform_core.errors import NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.testing.fakes.lake import InMemoryLake

_put: dict[str, dict[str, bytes]] = {}
"""What was put, by the lake's name and path."""


class InMemoryLakeFiles(LakeFiles):
    """``<table>/<n>.rows`` and ``<table>/log/<n>``; putting the latter makes the version."""

    form: ClassVar[str] = "memory"

    def __init__(self, lake: InMemoryLake) -> None:
        self._lake = lake

    def of(self, table: str) -> TableFiles:
        """List rows first, then the log."""
        if self._lake.version(table) is None:
            raise NotFound(f"table {table!r} was never written", "see tables()")
        made = self._made(table)
        found = [StoredFile(path, len(content)) for path, content in sorted(made.items())]
        log = [file for file in found if file.path.startswith(f"{table}/log/")]
        return TableFiles(table, [file for file in found if file not in log], log)

    def below(self, folder: str) -> dict[str, int]:
        """List what was put, and what was appended."""
        made = self._made(folder) if self._lake.version(folder) is not None else {}
        there = _put.get(self._lake.name, {}) | made
        return {path: len(content) for path, content in there.items() if path.startswith(f"{folder}/")}

    def read(self, path: str) -> Iterator[bytes]:
        """Read it at once."""
        table = path.rpartition("/")[0].removesuffix("/log")
        found = (_put.get(self._lake.name, {}) | self._made(table)).get(path)
        if found is None:
            raise NotFound(f"{path} is not there", "see below()")
        return iter([found])

    def put(self, path: str, content: Path) -> None:
        """Keep it; of a log's entry make the version."""
        files = _put.setdefault(self._lake.name, {})
        files[path] = content.read_bytes()
        table, is_log, version = path.rpartition("/log/")
        if is_log:
            rows = files.get(f"{table}/{version}.rows")
            if rows is None:
                raise NotFound(f"{path} names rows that are not there", "put them before it")
            self._lake.append(table, _decoded(rows), json.loads(files[path]))

    def _made(self, table: str) -> dict[str, bytes]:
        kept = self._lake.held.get(table)
        if kept is None:
            return {}
        rows = {f"{table}/{n:06}.rows": _encoded(each) for n, each in enumerate(kept.appends)}
        return rows | {f"{table}/log/{n:06}": json.dumps(dict(each)).encode() for n, each in enumerate(kept.log)}


def _encoded(rows: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def _decoded(content: bytes) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(content).read_all()
