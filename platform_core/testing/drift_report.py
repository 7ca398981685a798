"""Conformance kit of drift reports.

Subclass ``DriftReportKit`` and give the fixture ``report``. Verdict values are read from ``data-column`` and
``data-score`` attributes of one element; override ``verdicts`` if your page says them otherwise.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.drift_report import DriftReport
from loopline.platform_core.monitor.drift.columns import TEXT_KIND

_VERDICT = re.compile(r'data-column="([^"]*)"\s+data-score="([^"]*)"')
_FETCHED = re.compile(
    r"""<(?:script|link|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)\s*=\s*["']?(?:https?:)?//"""
    r"""|url\(\s*["']?(?:https?:)?//|@import\s""",
    re.IGNORECASE,
)
TITLE = "retail/cancellations <window 7>"


def table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    """Make rows of a normal column, a skewed one and a category."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "amount": random.normal(shift, 1, rows),
            "days_since & more": np.where(random.random(rows) < 0.2, np.nan, random.lognormal(0, 1, rows)),
            "country": random.choice(["DE", "FR", "UK"], rows),
        }
    )


def _wide(rows: int, seed: int) -> pa.Table:
    """Make rows with texts and vectors as well."""
    random = np.random.default_rng(seed)
    texts = pa.field("comment", pa.string(), metadata={TEXT_KIND: b"text"})
    drawn = table(rows, seed).append_column(texts, pa.array([f"order {n} came late" for n in range(rows)]))
    return drawn.append_column("meaning", pa.array(random.normal(size=(rows, 4)).tolist()))


class DriftReportKit:
    """One test a promise of ``DriftReport``."""

    def verdicts(self, page: Path) -> dict[str, float]:
        """Read the verdict value of each column off a page."""
        return {html.unescape(name): float(score) for name, score in _VERDICT.findall(page.read_text("utf-8"))}

    def test_1_one_page_without_network_names_every_column(self, report: DriftReport, tmp_path: Path) -> None:
        """The page is one file, fetches nothing, and names its title and every column."""
        page = report.render(table(600, 0), table(500, 1), tmp_path / "page.html", TITLE)
        text = page.read_text("utf-8")
        assert [page] == [tmp_path / "page.html"] == list(tmp_path.iterdir())
        assert not _FETCHED.search(text)
        for name in (TITLE, *table(1, 0).column_names):
            assert html.escape(name) in text

    def test_2_at_most_max_rows_of_each_side(self, report: DriftReport, tmp_path: Path) -> None:
        """More rows than ``max_rows`` are sampled, fewer are not, and the page says so."""
        bounded = report.model_copy(update={"max_rows": 300})
        reference, current = table(700, 0), table(200, 1)
        page = bounded.render(reference, current, tmp_path / "page.html", TITLE)
        assert "300 of 700" in page.read_text("utf-8")
        assert "200 of 200" in page.read_text("utf-8")
        whole = report.render(reference, current, tmp_path / "whole.html", TITLE)
        assert self.verdicts(page) != self.verdicts(whole)

    def test_3_same_rows_same_verdicts(self, report: DriftReport, tmp_path: Path) -> None:
        """Drawing the same rows again, sampled or not, gives the same values for every column."""
        bounded = report.model_copy(update={"max_rows": 300})
        sides = table(700, 0), table(700, 1, shift=0.5)
        first, second = (self.verdicts(bounded.render(*sides, tmp_path / f"{n}.html", TITLE)) for n in (1, 2))
        assert set(first) == set(sides[0].column_names)
        assert first == second

    def test_4_null_or_missing_columns_do_not_stop_the_page(self, report: DriftReport, tmp_path: Path) -> None:
        """Columns without a value, or on one side only, are named; the others keep their verdicts."""
        reference, current = table(600, 0), table(500, 1)
        nulls = pa.nulls(600, pa.float64())
        reference = reference.append_column("never", nulls).append_column("gone", reference.column("amount"))
        reference = reference.append_column("lost", reference.column("country"))
        current = current.append_column("never", nulls.slice(0, 500)).append_column("new", current.column("country"))
        current = current.append_column("lost", pa.nulls(500, pa.string()))
        page = report.render(reference, current, tmp_path / "page.html", TITLE)
        assert all(name in page.read_text("utf-8") for name in ("never", "gone", "new", "lost"))
        assert {"amount", "country"} <= set(self.verdicts(page))

    def test_4_texts_and_vectors_do_not_stop_the_page(self, report: DriftReport, tmp_path: Path) -> None:
        """Texts and vectors are named, and the other columns keep their verdicts."""
        page = report.render(_wide(600, 0), _wide(500, 1), tmp_path / "page.html", TITLE)
        assert all(name in page.read_text("utf-8") for name in ("comment", "meaning"))
        assert {"amount", "country"} <= set(self.verdicts(page))

    def test_5_what_was_drawn_is_kept_once(self, report: DriftReport, tmp_path: Path) -> None:
        """A workspace holds each title once, however often it is drawn; without one nothing is kept."""
        keeps = report.model_copy(update={"workspace": str(tmp_path / "workspace")})
        for number, title in enumerate((TITLE, TITLE, "another")):
            keeps.render(table(600, 0), table(500, 1), tmp_path / f"{number}.html", title)
        assert list(keeps.titles()) == sorted([TITLE, "another"])
        assert list(report.titles()) == []
