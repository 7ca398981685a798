"""Batch scoring by Spark executors."""

from __future__ import annotations

import base64
import pickle
from array import array
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.resources.pyspark import executors

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import ScoreRows
    from loopline.resources.pyspark.frames import SparkFrames


def scored(frames: SparkFrames, package: Path, rows: pa.Table, score: ScoreRows) -> Sequence[float]:
    """Put rows and package into the object store, and let each task score an object; eight bytes a score come back.

    Raises:
        LooplineError: what ``score`` raised on an executor.
    """
    from loopline.resources.object_store import packages

    digest = packages.send(frames.call_folder.objects, package)
    staged = frames.call_folder.put(rows)
    work = partial(executors.score, staged, frames.call_folder.folder, digest, score)
    found = sorted(frames.run(len(staged.keys), work, executors.SCORED))
    for _, _, failure in found:
        if failure is not None:
            raise pickle.loads(base64.b64decode(failure))  # noqa: S301 - our own executors say it
    scores = array("d")
    for table in frames.call_folder.tables([key for _, key, _ in found]):
        scores.frombytes(table[executors.SCORE].to_numpy().tobytes())
    return scores
