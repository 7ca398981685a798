"""Evidently keeps the promises of a drift report."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from platform_core.environment import bind
from platform_core.monitor.distance import js_distance, wasserstein
from platform_core.testing.drift_report import DriftReportKit
from resources.evidently.drift_report import EvidentlyDriftReport


class TestEvidentlyDriftReport(DriftReportKit):
    """The kit, and what only Evidently can show."""

    @pytest.fixture
    def report(self) -> EvidentlyDriftReport:
        """The vendor with its defaults."""
        return EvidentlyDriftReport()

    def test_binds_by_name(self) -> None:
        """An environment file finds the vendor and may bound its rows."""
        bound = bind("drift_report", {"vendor": "evidently", "max_rows": 500})
        assert isinstance(bound, EvidentlyDriftReport)
        assert bound.max_rows == 500

    def test_shows_the_distances_by_which_the_monitor_judges(self, report, tmp_path) -> None:
        """Evidently's values are the platform's own, also for fewer than 1,000 rows, where it would change tests."""
        random = np.random.default_rng(3)
        before, after = random.lognormal(0, 1, 800), random.lognormal(0.3, 1, 600)
        kinds = random.choice(list("aab"), 800), random.choice(list("abc"), 600)
        page = report.render(
            pa.table({"amount": before, "kind": kinds[0]}),
            pa.table({"amount": after, "kind": kinds[1]}),
            tmp_path / "page.html",
            "title",
        )
        counts = [[int((side == name).sum()) for name in "abc"] for side in kinds]
        found = self.verdicts(page)
        assert found["amount"] == pytest.approx(wasserstein(after, before))
        assert found["kind"] == pytest.approx(js_distance(*counts))

    def test_nothing_to_compare_is_a_page_as_well(self, report, tmp_path) -> None:
        """Sides that share no column still give a page that says so."""
        page = report.render(pa.table({"a": [1.0]}), pa.table({"b": ["x"]}), tmp_path / "page.html", "title")
        assert "no values in the window" in page.read_text("utf-8")
        assert "no values in the reference" in page.read_text("utf-8")
