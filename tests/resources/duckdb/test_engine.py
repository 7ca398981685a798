"""DuckDB keeps the engine's promises."""

from __future__ import annotations

import pytest

from platform_core.testing.engine import EngineKit
from platform_core.testing.engine_rows import RowChecksKit
from resources.duckdb.engine import DuckdbEngine


@pytest.fixture
def engine() -> DuckdbEngine:
    """Make the engine."""
    return DuckdbEngine()


class TestDuckdbEngine(EngineKit):
    """Promises two to eight."""


class TestDuckdbRowChecks(RowChecksKit):
    """The first promise."""
