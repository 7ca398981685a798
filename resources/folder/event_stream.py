"""Event stream in a folder: one file a partition, one line a record; the offset is the line's byte position."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import Field

from loopline.platform_core.contracts.event_stream import TRANSACTIONS, EventStream, Member, Read, Record, records_table
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.files import lent
from loopline.resources.folder import lines

if TYPE_CHECKING:
    import pyarrow as pa

LOOK_SECONDS = 0.05
"""How long a read that waits sleeps between two looks at the files."""


class FolderEventStream(EventStream):
    """Files ``<root>/<team>/<source>/<partition>.jsonl``, to which processes of one machine append.

    A line is ``{"at": µs, "key": text, "value": text, "headers": {}}``; a key or value that is no UTF-8 text stands in
    base64 under ``key64`` or ``value64``. A line without its end is one that is being written, or whose writer was
    killed: it is not read, and the next writer takes it away.
    """

    can: ClassVar[frozenset[str]] = frozenset({TRANSACTIONS})

    root: str
    partitions: int = Field(default=1, ge=1)

    def ends(self, stream: str) -> Mapping[int, int]:
        """Look where the last line of each file ends."""
        return {partition: lines.end(path) for partition, path in self._files(stream).items()}

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read lines, and look again until there is one or the time is over."""
        until = time.monotonic() + wait_seconds
        while not (rows := self._rows(stream, offsets, limit)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
        return records_table(rows)

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Append the lines of each partition at once, and have the disk keep them."""
        folder = Path(self.root, stream)
        folder.mkdir(parents=True, exist_ok=True)
        for partition, own in lines.by_partition(records, self.partitions).items():
            lines.append(folder / f"{partition}.jsonl", own)

    def place(self, stream: str) -> str:
        """Return the folder."""
        return os.path.abspath(Path(self.root, stream))  # noqa: PTH100 - without its ..

    def join(self, stream: str, group: str, member: str = "") -> Member:
        """Come to the others of a group, which is a folder beside the partitions."""
        from loopline.resources.folder.member import FolderMember

        return FolderMember(self, stream, group, member)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[FolderEventStream]:
        """Give a folder of its own in this one, with as many partitions as members of a group can share."""
        with lent(Path(self.root, name)) as folder:
            yield self.with_settings(root=str(folder), partitions=max(self.partitions, 3))

    def _files(self, stream: str) -> dict[int, Path]:
        found = sorted(Path(self.root, stream).glob("*.jsonl"))
        return {int(path.stem): path for path in found if path.stem.isdecimal()}

    def _rows(self, stream: str, offsets: Mapping[int, int], limit: int) -> list[Read]:
        """Give each file an equal share of the limit, so that a busy one does not keep the others waiting."""
        files = self._files(stream)
        for partition in offsets.keys() - files.keys():
            _refuse(Path(self.root, stream, f"{partition}.jsonl"), offsets[partition])
        rows: list[Read] = []
        left = {partition: _Lines(partition, path, offsets.get(partition, 0)) for partition, path in files.items()}
        while left and len(rows) < limit:
            share = -(-(limit - len(rows)) // len(left))
            for own in list(left.values()):
                read = list(own.take(min(share, limit - len(rows))))
                rows += read
                if len(read) < share:
                    left.pop(own.partition)
        return rows


class _Lines:
    """The records of one partition from an offset on."""

    def __init__(self, partition: int, path: Path, offset: int) -> None:
        self.partition, self.path, self.offset = partition, path, offset

    def take(self, count: int) -> Iterator[Read]:
        """Yield the next records, those whose lines are whole."""
        with self.path.open("rb") as file:
            self._go(file)
            for _ in range(count):
                line = file.readline()
                if not line.endswith(b"\n"):
                    return
                yield self._row(line)

    def _go(self, file: BinaryIO) -> None:
        """Go where a line begins; only what ends a line can stand before it."""
        file.seek(max(self.offset - 1, 0))
        if self.offset and file.read(1) != b"\n":
            _refuse(self.path, self.offset)

    def _row(self, line: bytes) -> Read:
        import orjson

        start, self.offset = self.offset, self.offset + len(line)
        try:
            held = orjson.loads(line)
            headers = orjson.dumps(held["headers"]).decode() if "headers" in held else "{}"
            key, value = lines.content(held, "key"), lines.content(held, "value")
            return Read(self.partition, start, self.offset, key, value, headers, held["at"])
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ContractBroken(
                f"{self.path}: the line at {start} is no record: {error}", "publish records by the vendor only"
            ) from error


def _refuse(path: Path, offset: int) -> None:
    if offset:
        raise ContractBroken(
            f"{path}: no record begins at {offset}: the file is gone, or another than it was",
            "put it back, or declare a source of a new name",
        )
