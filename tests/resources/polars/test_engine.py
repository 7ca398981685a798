"""Polars keeps the engine's promises."""

from __future__ import annotations

import pyarrow as pa
import pytest

from loopline.platform_core.specs import FeatureView, Labels
from loopline.platform_core.testing.engine import EngineKit
from loopline.platform_core.testing.engines.engine_histories import EngineHistoriesKit
from loopline.resources.polars.engine import PolarsEngine


@pytest.fixture
def engine() -> PolarsEngine:
    """Make the engine."""
    return PolarsEngine()


class TestPolarsEngine(EngineKit):
    """Promises two to eight; the first is tested with the landing of rows."""

    tested_on = "this process"


class ReadsBackwards(PolarsEngine):
    """Polars on the same rows in another order."""

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Turn them round."""
        return super().compute_view(view, raw.take(pa.array(range(len(raw))[::-1])))

    def compute_labels(self, labels: Labels, raw: pa.Table) -> pa.Table:
        """Turn them round."""
        return super().compute_labels(labels, raw.take(pa.array(range(len(raw))[::-1])))


class TestPolarsHistories(EngineHistoriesKit):
    """The ninth promise; the others are compared with Polars, so Polars is compared with itself."""

    tested_on = "this process"

    @pytest.fixture
    def reference(self) -> PolarsEngine:
        """Make the engine that reads backwards."""
        return ReadsBackwards()
