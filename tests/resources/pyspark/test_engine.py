"""PySpark keeps the engine's promises, on two cores of this machine."""

from __future__ import annotations

import pytest

from benchmarks.peers.spark_cluster import SMALL
from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engines.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.engines.engine_rows import RowChecksKit
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark.engine import PysparkEngine


@pytest.fixture(scope="module")
def engine() -> PysparkEngine:
    """Make the engine."""
    return PysparkEngine(options=SMALL)


@pytest.fixture
def reference() -> PolarsEngine:
    """Make the engine with which it is compared."""
    return PolarsEngine()


class TestPysparkEngine(EngineKit):
    """Promises two to eight."""

    tested_on = "this process"


class TestPysparkRowChecks(RowChecksKit):
    """The first promise."""

    tested_on = "this process"


class TestPysparkHistories(EngineHistoriesKit):
    """The ninth promise."""

    tested_on = "this process"

    SLOW = True
