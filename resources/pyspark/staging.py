"""Staging of rows between this process and Spark executors: Parquet in an object store, a folder for each call.

What executors run stands in ``executors``. A task that runs twice, after a loss or by speculation, writes two objects,
and only the one is read whose task Spark counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.platform_core.errors import LooplineError, Transient
from loopline.resources.pyspark import executors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from loopline.resources.object_store.objects import Objects

PART_BYTES = 32 * 2**20
"""Arrow bytes of an object, and with it of a task."""
FOLDER = "calls"


@dataclass(frozen=True)
class Staging:
    """Where rows lie on their way, and from how many MB (Arrow) on they go there."""

    url: str
    options: Mapping[str, str]
    above_mb: float

    def begin(self) -> CallFolder:
        """Open the store for a call."""
        from loopline.resources.object_store.objects import Objects

        return CallFolder(Objects(self.url, self.options), self)


@dataclass(frozen=True)
class Staged:
    """Parquet objects below a URL, of which each is a task's."""

    url: str
    options: Mapping[str, str]
    keys: Sequence[str]
    schema: pa.Schema

    @property
    def column_names(self) -> list[str]:
        """Return their columns."""
        return list(self.schema.names)


@dataclass
class CallFolder:
    """One call's folder."""

    objects: Objects
    staging: Staging
    folder: str = field(default_factory=lambda: f"{FOLDER}/{uuid4().hex}")

    def put(self, rows: pa.Table) -> Staged:
        """Write a table."""
        import pyarrow.parquet as pq

        rows, keys, name = plain(rows), list[str](), uuid4().hex[:8]
        per_part = max(1, int(len(rows) * PART_BYTES / max(rows.nbytes, 1)))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "part.parquet"
            for start in range(0, max(len(rows), 1), per_part):
                pq.write_table(rows.slice(start, per_part), file)
                keys.append(f"{self.folder}/{name}-{len(keys):05}.parquet")
                self.objects.send(keys[-1], file)
        return Staged(self.staging.url, self.staging.options, keys, rows.schema)

    def frame(self, session: SparkSession, rows: Staged) -> DataFrame:
        """Let executors read a table, each task an object."""
        numbers = session.range(0, len(rows.keys), 1, max(1, len(rows.keys)))
        read = partial(executors.read, rows.url, dict(rows.options), list(rows.keys), rows.schema)
        return numbers.mapInArrow(read, kinds(rows.schema))

    def collected(self, frame: DataFrame) -> pa.Table:
        """Let executors write a plan's rows, and read them in the order of its parts."""
        import pyarrow as pa

        write = partial(executors.write, self.staging.url, dict(self.staging.options), self.folder)
        written = sorted(tuple(each) for each in frame.mapInArrow(write, executors.WRITTEN).collect())
        if not written:
            return frame.limit(0).toArrow()
        found = pa.concat_tables(self.tables([key for _, key, _ in written]))
        if len(found) != sum(rows for _, _, rows in written):
            raise Transient(f"{self.staging.url}: {len(found)} rows of a call came back", "try again")
        return found

    def end(self) -> None:
        """Delete the folder; what stays because the store is away goes by a lifecycle rule on ``calls/``."""
        with suppress(LooplineError):
            if keys := [each.key for each in self.objects.listed(self.folder)]:
                self.objects.delete(keys)

    def tables(self, keys: Sequence[str]) -> Iterator[pa.Table]:
        """Read objects, one after another."""
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "part.parquet"
            for key in keys:
                self.objects.fetch(key, file)
                yield pq.read_table(file, memory_map=False)


def kinds(schema: pa.Schema) -> StructType:
    """Name Arrow's types in Spark's words."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def plain(rows: pa.Table) -> pa.Table:
    """Give text, lists and instants the Arrow types that Spark gives back."""
    import pyarrow as pa

    return rows.cast(pa.schema([each.with_type(_plain(each.type)) for each in rows.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return kind
