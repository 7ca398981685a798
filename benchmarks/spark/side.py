"""Measures one size on a cluster of its own: ``python -m benchmarks.spark.side ROWS``; a JSON object a figure.

A master, two workers of one core each, and an object store through which all tables go. Processor seconds are those of
all of these processes, and of this one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import psutil

from benchmarks.idle.spent import cpu_seconds, family
from benchmarks.measured import measured
from benchmarks.peers.spark_cluster import HOST, SparkCluster
from benchmarks.spark import work
from loopline.platform_core.scoring.batch import scores
from loopline.platform_core.testing.engines.engine_histories import assert_same
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark.engine import PysparkEngine
from tests.s3_server import S3Server

OPTIONS = {
    "spark.executor.memory": "1200m",
    "spark.driver.host": HOST,
    "spark.driver.bindAddress": HOST,
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
}
WORKER_MEMORY = "1200m"
VOLUMES = 400
"""Of 64 MB in the object store; what is deleted keeps its place until the store tidies up."""
WARM_ROWS = 100_000
COMPARED_ROWS = 1_000_000
"""Up to here the answers are compared with one machine's."""
T = TypeVar("T")


def main(rows: int) -> None:
    """Measure a feature view, then a batch."""
    with TemporaryDirectory(prefix="loopline-bench-") as folder, _engine(Path(folder)) as engine:
        package = Path(folder) / "package"
        work.package(package)
        engine.compute_view(work.spending, work.orders(WARM_ROWS))
        engine.score(package, work.batch(WARM_ROWS), scores)
        _view(engine, rows)
        _batch(engine, package, rows)


def _view(engine: PysparkEngine, rows: int) -> None:
    raw = work.orders(rows)
    found = _told("feature view", rows, lambda: engine.compute_view(work.spending, raw))
    if rows <= COMPARED_ROWS:
        assert_same(found, PolarsEngine().compute_view(work.spending, raw))


def _batch(engine: PysparkEngine, package: Path, rows: int) -> None:
    asked = work.batch(rows)
    found: Sequence[float] = _told("batch", rows, lambda: engine.score(package, asked, scores))
    some = slice(None, None, max(1, rows // 1_000))
    if list(found[some]) != scores(package, asked.take(list(range(rows)[some]))):
        raise AssertionError("scores of a cluster are not those of one machine")


def _told(what: str, rows: int, call: Callable[[], T]) -> T:
    own, all_of_them = _cpu(), _busy()
    found, cost = measured(call)
    own, all_of_them = _cpu() - own, _busy() - all_of_them
    others = max(0.0, all_of_them - own) / cost.seconds
    spent = {"seconds": cost.seconds, "cpu_seconds": own, "others_cores": others, "peak_mb": cost.peak_mb}
    print(json.dumps({"what": what, "rows": rows, **spent}), flush=True)
    return found


def _cpu() -> float:
    return sum(map(cpu_seconds, family(os.getpid(), of_all_groups=True)))


def _busy() -> float:
    """Return the seconds for which cores of this machine were busy, whoever kept them so."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


@contextmanager
def _engine(folder: Path) -> Iterator[PysparkEngine]:
    """Begin a cluster and an object store; everything that they write lies below the folder."""
    places = {name: folder / name for name in ("spark", "s3")}
    for place in places.values():
        place.mkdir()
    cluster, store = SparkCluster(places["spark"]), S3Server(places["s3"], VOLUMES)
    options: dict[str, Any] = {**OPTIONS, "spark.local.dir": str(places["spark"] / "spill")}
    try:
        store.start()
        cluster.start(workers=2, memory=WORKER_MEMORY)
        yield PysparkEngine(
            master=cluster.master,
            options=options,
            python=sys.executable,
            staging=store.place(),
            storage_options=store.options,
            staged_above_mb=0,
            wait_seconds=600,
        )
    finally:
        _end()
        cluster.stop()
        store.kill()


def _end() -> None:
    from pyspark.sql import SparkSession

    if active := SparkSession.getActiveSession():
        active.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
