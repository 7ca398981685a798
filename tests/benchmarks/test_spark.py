"""The benchmark on a Spark cluster tells growth by processor time, of each kind of work from its smallest size on."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.idle.spent import family
from benchmarks.spark.compare import section
from benchmarks.spark.work import FEATURES, batch, orders, package, spending
from loopline.platform_core.scoring.batch import scores
from loopline.resources.polars.engine import PolarsEngine


def told(what: str, rows: int, cpu_seconds: float) -> dict[str, object]:
    """Say what a size cost."""
    return {"what": what, "rows": rows, "seconds": 2.0, "cpu_seconds": cpu_seconds, "others_cores": 0.5, "peak_mb": 5.0}


def test_exponents_are_of_processor_time_and_a_steep_one_breaks_the_promise():
    """Ten times the rows for ten times the cost is 1; for a hundred times it is 2, and not kept."""
    found = section([told("a", 10, 1.0), told("b", 10, 1.0), told("a", 100, 10.0), told("b", 100, 100.0)])
    assert [(row[0], row[-1]) for row in found.rows] == [("a", ""), ("a", "1.00"), ("b", ""), ("b", "2.00")]
    assert [promise.kept for promise in found.promises] == [True, False]
    assert section([told("a", 10, 1.0)]).promises == []


def test_processes_of_other_groups_are_counted_where_they_are_asked_for():
    """A cluster's own processes may begin groups; the benchmark of idleness leaves those out."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        assert other.pid in family(os.getpid(), of_all_groups=True)
        assert other.pid not in family(os.getpid())
        other.kill()


def test_the_work_is_real(tmp_path):
    """The view adds up each customer's days, and the package scores rows of its features."""
    found = PolarsEngine().compute_view(spending, raw := orders(5_000))
    assert sum(found["orders"].to_pylist()) == len(raw)
    last = found.group_by("customer").aggregate([("spend", "max")])
    assert sum(last["spend_max"].to_pylist()) == sum(raw["cents"].to_pylist())
    package(tmp_path / "package")
    given = scores(tmp_path / "package", batch(100))
    assert batch(100).column_names == list(FEATURES)
    assert len(set(given)) > 50
    assert all(0 < score < 1 for score in given)
