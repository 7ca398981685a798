"""DuckDB keeps the engine's promises."""

from __future__ import annotations

import pytest

from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engines.engine_histories import EngineHistoriesKit
from loopline.platform_core.testing.engines.engine_rows import RowChecksKit
from loopline.resources.duckdb.engine import DuckdbEngine
from loopline.resources.polars.engine import PolarsEngine


@pytest.fixture
def engine() -> DuckdbEngine:
    """Make the engine."""
    return DuckdbEngine()


@pytest.fixture
def reference() -> PolarsEngine:
    """Make the engine with which it is compared."""
    return PolarsEngine()


class TestDuckdbEngine(EngineKit):
    """Promises two to eight."""

    tested_on = "this process"


class TestDuckdbHistories(EngineHistoriesKit):
    """The ninth promise."""

    tested_on = "this process"


class TestDuckdbRowChecks(RowChecksKit):
    """The first promise."""

    tested_on = "this process"
