"""Functions that Spark executors run: read and write Parquet in the object store, and score.

Their Python finds these functions by name, so it needs Loopline in the version of whoever asks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import ScoreRows
    from loopline.resources.pyspark.staging import Staged

WRITTEN = "part int, key string, rows bigint"
SCORED = "part bigint, key string, failure string"
SCORE = "score"
BATCH_ROWS = 65_536


def read(
    url: str, options: Mapping[str, str], keys: Sequence[str], schema: pa.Schema, numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Give the rows of the objects that this task is to read."""
    for number in _numbers(numbers):
        yield from _batches(url, options, keys[number], schema)


def write(
    url: str, options: Mapping[str, str], folder: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Write a task's rows as one object, and tell of it; nothing where there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark import TaskContext

    from loopline.resources.object_store.objects import Objects

    full = (batch for batch in batches if len(batch))
    first = next(full, None)
    if first is None:
        return
    context, rows = TaskContext.get(), 0
    part = context.partitionId() if context else 0
    key = f"{folder}/out-{part:05}-{uuid4().hex[:8]}.parquet"
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "part.parquet"
        with pq.ParquetWriter(file, first.schema) as writer:
            for batch in chain([first], full):
                writer.write_batch(batch)
                rows += len(batch)
        Objects(url, options).send(key, file)
    told = {"part": pa.array([part], pa.int32()), "key": [key], "rows": pa.array([rows], pa.int64())}
    yield pa.RecordBatch.from_pydict(told)


def score(
    rows: Staged, folder: str, package: str, function: ScoreRows, numbers: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Score the objects that this task is to score, with a package that this executor fetches once.

    Scores of an object are an object, of which it tells: a hundred million of them would not pass through a driver.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark import SparkFiles

    from loopline.platform_core.errors import LooplineError
    from loopline.resources.object_store import packages
    from loopline.resources.object_store.objects import Objects

    objects = Objects(rows.url, rows.options)
    for number in _numbers(numbers):
        key, failure = f"{folder}/scores-{number:05}-{uuid4().hex[:8]}.parquet", None
        try:
            fetched = packages.fetch(objects, package, Path(SparkFiles.getRootDirectory()) / "packages")
            with tempfile.TemporaryDirectory() as place:
                objects.fetch(rows.keys[number], file := Path(place) / "part.parquet")
                scores = function(fetched, pq.read_table(file, memory_map=False))
                pq.write_table(pa.table({SCORE: pa.array(scores, pa.float64())}), file)
                objects.send(key, file)
        except LooplineError as error:
            failure = _packed(error)
        yield pa.RecordBatch.from_pydict(
            {
                "part": pa.array([number], pa.int64()),
                "key": [key],
                "failure": pa.array([failure], pa.string()),
            }
        )


def _numbers(numbers: Iterator[pa.RecordBatch]) -> Iterator[int]:
    for batch in numbers:
        yield from batch.column(0).to_pylist()


def _batches(url: str, options: Mapping[str, str], key: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from loopline.resources.object_store.objects import Objects

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "part.parquet"
        Objects(url, options).fetch(key, file)
        for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=schema.names):
            yield from pa.Table.from_batches([batch]).cast(schema).to_batches()


def _packed(error: Exception) -> str:
    import base64
    import pickle

    return base64.b64encode(pickle.dumps(error)).decode()
