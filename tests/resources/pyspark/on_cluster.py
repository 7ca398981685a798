"""What holds on a cluster of two workers, whichever way leads to it; tables travel through an object store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers.spark_cluster import SparkCluster
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import ContractBroken, TaskFailed
from loopline.platform_core.testing.engines.engine_histories import assert_same
from loopline.platform_core.testing.engines.engine_tables import asked, large_order, raw_orders, spending
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.packages import FOLDER, digest
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark import staging
from loopline.resources.pyspark.engine import PysparkEngine
from tests.s3_server import S3Server

CUSTOMERS, ORDERS = 50, 3_000
CONNECT_SECONDS = 240


def orders(count: int = ORDERS) -> pa.Table:
    """Make orders of some customers, late ones and one without a customer among them."""
    random = np.random.default_rng(7)
    hours = random.integers(0, 24 * 90, count)
    rows = [
        (int(who), float(hour), float(hour + late), cents / 100, "abc"[kind])
        for who, hour, late, cents, kind in zip(
            random.integers(0, CUSTOMERS, count),
            hours,
            random.integers(0, 5, count),
            random.integers(1, 9_999, count),
            random.integers(0, 3, count),
            strict=True,
        )
    ]
    return raw_orders(*rows, (None, 1.0, 1.0, 1.0, "a"))


def tenfold(package: Path, rows: pa.Table) -> Sequence[float]:
    """Score by a number that lies in the package, and refuse negative amounts."""
    factor = float((package / "factor").read_text())
    amounts = rows["amount"].to_pylist()
    if min(amounts, default=0) < 0:
        raise TaskFailed("a negative amount", "mend the row")
    return [factor * amount for amount in amounts]


def staged_engine(s3_server: S3Server, **where: Any) -> PysparkEngine:
    """Make an engine of which every table travels through the object store."""
    return PysparkEngine(staging=s3_server.place(), storage_options=s3_server.options, staged_above_mb=0, **where)


def left(engine: PysparkEngine) -> list[str]:
    """Return what lies in the object store."""
    return [each.key for each in Objects(str(engine.staging), engine.storage_options).listed(staging.FOLDER)]


class OnClusterKit:
    """Subclass it, and give the fixture ``engine``."""

    def test_the_answers_are_those_of_one_machine(self, engine: PysparkEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        """View, labels and join of a table in several objects; nothing stays in the object store."""
        monkeypatch.setattr(staging, "PART_BYTES", 64 * 2**10)
        polars, raw = PolarsEngine(), orders()
        view = engine.compute_view(spending, raw)
        assert_same(view, polars.compute_view(spending, raw))
        assert_same(engine.compute_labels(large_order, raw), polars.compute_labels(large_order, raw))
        asks = asked(*((n % CUSTOMERS, n / 2) for n in range(2_000)))
        sides = [ViewRows(spending, view)]
        assert_same(engine.point_in_time(asks, sides), polars.point_in_time(asks, sides))
        assert left(engine) == []

    def test_no_rows_have_their_columns(self, engine: PysparkEngine) -> None:
        """From no rows comes a table of none, with its types, by both ways in."""
        none = orders(10).slice(0, 0)
        expected = PolarsEngine().compute_view(spending, none)
        assert engine.compute_view(spending, none).equals(expected)
        direct = engine.model_copy(update={"staging": None})
        assert direct.compute_view(spending, none).equals(expected)

    def test_a_mistake_of_the_team_s_stays_theirs(self, engine: PysparkEngine) -> None:
        """What only executors find out is told with the function's place."""

        def breaks(rows: Any) -> Any:
            import narwhals as nw

            return rows.select("customer", "ordered_at", number=nw.col("article").cast(nw.Int64))

        with pytest.raises((TaskFailed, ContractBroken), match="spending"):
            engine.compute_view(replace(spending, compute=breaks), orders(100))

    def test_scores_come_from_executors_in_their_order(
        self, engine: PysparkEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The package lies in the object store under its hash; what a part raises is raised here."""
        monkeypatch.setattr(staging, "PART_BYTES", 16 * 2**10)
        package = tmp_path / "package"
        package.mkdir()
        package.joinpath("factor").write_text("10")
        rows = orders().select(["amount"])
        assert list(engine.score(package, rows, tenfold)) == list(tenfold(package, rows))
        store = Objects(str(engine.staging), engine.storage_options)
        assert store.has(f"{FOLDER}/{digest(package)}.tar")
        wrong = rows.set_column(0, "amount", pa.array([1.0, -1.0] + [2.0] * (len(rows) - 2)))
        with pytest.raises(TaskFailed, match=r"a negative amount.*mend the row"):
            engine.score(package, wrong, tenfold)
        assert left(engine) == []

    def test_a_worker_dies_in_the_midst(
        self, engine: PysparkEngine, spark_cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """What it computed is computed by the other one, and each row is there once."""
        monkeypatch.setattr(staging, "PART_BYTES", 8 * 2**10)
        package = tmp_path / "package"
        package.mkdir()
        package.joinpath("factor").write_text("3")
        rows = orders(8_000).select(["amount"])
        killed = list[int]()

        def kill() -> None:
            killed.append(max(number for number in spark_cluster.alive() if spark_cluster.executors(number)))
            spark_cluster.kill(killed[0])

        marks = tmp_path / "marks"
        marks.mkdir()
        package.joinpath("marks").write_text(str(marks))
        killer = threading.Thread(target=_when(marks, kill), daemon=True)
        killer.start()
        try:
            found = list(engine.score(package, rows, slowly))
        finally:
            killer.join(CONNECT_SECONDS)
            spark_cluster.add_workers()
        assert found == list(tenfold(package, rows))
        assert spark_cluster.workers[killed[0]].poll() is not None
        assert len(list(marks.iterdir())) > len(found) * 8 // staging.PART_BYTES  # some parts were begun twice


def slowly(package: Path, rows: pa.Table) -> Sequence[float]:
    """Score as ``tenfold``, but leave a mark first, and take a moment."""
    import uuid

    (Path((package / "marks").read_text()) / uuid.uuid4().hex).touch()
    time.sleep(1)  # a part that takes long enough to be killed in
    return tenfold(package, rows)


def _when(marks: Path, act: Callable[[], None]) -> Callable[[], None]:
    """Act once three parts have begun."""

    def wait() -> None:
        end = time.monotonic() + CONNECT_SECONDS
        while time.monotonic() < end and len(list(marks.iterdir())) < 3:
            time.sleep(0.05)  # between two looks: what is looked at tells nobody
        act()

    return wait
