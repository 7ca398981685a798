"""Evidently keeps the promises of a drift report."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.environment import bind
from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable, Unsupported
from loopline.platform_core.foundation.distance import js_distance, wasserstein
from loopline.platform_core.testing.drift_report import DriftReportKit, table
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.evidently.drift_report import EvidentlyDriftReport
from loopline.resources.evidently.instead import instead, measurable
from tests.s3_server import S3Server


class TestEvidentlyDriftReport(DriftReportKit):
    """The kit, and what only Evidently can show."""

    tested_on = "this process"

    @pytest.fixture
    def report(self) -> EvidentlyDriftReport:
        """The vendor with its defaults."""
        return EvidentlyDriftReport()

    def test_shows_the_distances_by_which_the_monitor_judges(self, report, tmp_path) -> None:
        """Evidently's values are the platform's own, also for fewer than 1,000 rows, where it would change tests.

        Values that no sum can hold are missing on the page, as they are for the monitor; so are infinities.
        """
        random = np.random.default_rng(3)
        before, after = random.lognormal(0, 1, 800), random.lognormal(0.3, 1, 600)
        kinds = random.choice(list("aab"), 800), random.choice(list("abc"), 600)
        largest = np.finfo(float).max
        spoilt = np.concatenate([after[3:], [largest, -largest, np.inf]])
        page = report.render(
            pa.table({"amount": before, "kind": kinds[0], "spoilt": before}),
            pa.table({"amount": after, "kind": kinds[1], "spoilt": spoilt}),
            tmp_path / "page.html",
            "title",
        )
        counts = [[int((side == name).sum()) for name in "abc"] for side in kinds]
        found = self.verdicts(page)
        assert found["amount"] == pytest.approx(wasserstein(after, before))
        assert found["kind"] == pytest.approx(js_distance(*counts))
        assert found["spoilt"] == pytest.approx(wasserstein(after[3:], before))

    def test_nothing_to_compare_is_a_page_as_well(self, report, tmp_path) -> None:
        """Sides that share no column still give a page that says so."""
        page = report.render(pa.table({"a": [1.0]}), pa.table({"b": ["x"]}), tmp_path / "page.html", "title")
        assert "no values in the window" in page.read_text("utf-8")
        assert "no values in the reference" in page.read_text("utf-8")

    def test_says_by_what_texts_vectors_and_lists_are_drawn(self, report, tmp_path) -> None:
        """The page does not pretend that Evidently compared them; of a ranking's items it shows what stands first."""
        words = pa.field("comment", pa.string(), metadata={b"loopline.kind": b"text"})
        mix = (["85123A", "22423"], ["21212"], [], None)
        sides = [
            pa.table({"v": [[1.0, 2.0]] * rows, "items": pa.array((items * rows)[:rows], pa.list_(pa.string()))})
            .append_column(words, pa.array(["so it is"] * rows))
            for rows, items in ((200, mix), (100, mix[:2]))
        ]  # fmt: skip
        assert measurable(sides[0])["items"].to_pylist()[:4] == ["85123A", "21212", None, None]
        text = report.render(*sides, tmp_path / "page.html", "title").read_text("utf-8")
        for what in ("the number of words", "the length of the vector", "the first of each list"):
            assert f"drawn by {what}" in text
        assert 'data-column="items" data-score=' in text

    def test_a_list_of_texts_is_drawn_by_all_its_words(self) -> None:
        """The items that a ranking shows are one: what is watched of them is their words."""
        shown = pa.field("items", pa.list_(pa.string()), metadata={b"loopline.kind": b"text"})
        table = measurable(pa.table([pa.array([["a lamp", "bell"], [], None], shown.type)], pa.schema([shown])))
        assert table["items"].to_pylist() == [3.0, 0.0, None]

    def test_a_vector_is_what_the_monitor_takes_for_one(self) -> None:
        """Lists of any size of numbers are vectors, lists of words are none."""
        vector, first = "drawn by the length of the vector", "drawn by the first of each list"
        names = pa.table(
            {
                "large": pa.array([[3.0, 4.0]], pa.large_list(pa.float64())),
                "words": pa.array([["so", "it", "is"]]),
            }
        )
        assert instead(names) == {"large": vector, "words": first}
        assert measurable(names)["large"].to_pylist() == [5.0]

    def test_without_a_workspace_there_is_nothing_to_browse(self, report) -> None:
        """The interface needs a folder, and says so."""
        with pytest.raises(Unsupported, match="at port 1"):
            report.browser(1)


@pytest.fixture
def shown(tmp_path) -> Iterator[str]:
    """Draw two windows of one model and serve the workspace with Evidently's own interface; give its address."""
    report = EvidentlyDriftReport(workspace=str(tmp_path / "workspace"), max_rows=400)
    folder = tmp_path / "reports" / "shop.returns"
    folder.mkdir(parents=True)
    for number in (1, 2):
        report.render(table(600, 0), table(500, number), folder / f"1-{number}.html", f"window {number}")
    port = free_port()
    with subprocess.Popen(report.browser(port), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answered(address: str, within_seconds: float = 400) -> bytes:
    """Ask until somebody answers."""
    until = time.monotonic() + within_seconds
    while True:
        try:
            with urlopen(address, timeout=30) as answer:
                body: bytes = answer.read()
                return body
        except URLError:
            assert time.monotonic() < until
            time.sleep(0.3)  # between two looks: what is looked at tells nobody


def test_evidently_shows_our_snapshots(shown: str) -> None:
    """Evidently's interface, run as a process, lists the model as a project and opens each window's snapshot."""
    assert b"<title>Evidently" in answered(f"{shown}/")
    (project,) = json.loads(answered(f"{shown}/api/projects"))
    assert project["name"] == "shop.returns"
    runs = json.loads(answered(f"{shown}/api/projects/{project['id']}/reports"))
    assert sorted(run["name"] for run in runs) == ["window 1", "window 2"]
    for run in runs:
        drawn = answered(f"{shown}/api/projects/{project['id']}/{run['id']}/data")
        assert b"amount" in drawn
        assert b"country" in drawn


def bound(s3_server: S3Server, place: str, **said: Any) -> EvidentlyDriftReport:
    """Bind the vendor as an environment file does."""
    binding: dict[str, Any] = {
        "vendor": "evidently",
        "store": place,
        "storage_options": s3_server.options,
        "max_rows": 100,
    }
    report = bind("drift_report", binding | said)
    assert isinstance(report, EvidentlyDriftReport)
    return report


def test_what_is_drawn_is_kept_before_it_is_here(s3_server: S3Server, tmp_path: Path) -> None:
    """A store that is away leaves no page, so that it is drawn again; figures lie beside the page."""
    page = tmp_path / "t.m" / "3-1.html"
    page.parent.mkdir()
    place = s3_server.place()
    refused = bound(s3_server, place, storage_options=s3_server.wrong_secret())
    with pytest.raises(StoreUnavailable, match="right to list"):
        refused.render(table(90, 0), table(80, 1), page, "window 1")
    assert list(page.parent.iterdir()) == []
    report = bound(s3_server, place)
    report.render(table(90, 0), table(80, 1), page, "window 1")
    assert report.kept("t.m") == ["3-1.html"]
    assert report.place("t.m", "3-1.html") == f"{place}/t.m/3-1.html"
    other = tmp_path / "other" / "3-1.html"
    assert bound(s3_server, place).fetch("t.m", other)
    assert other.read_bytes() == page.read_bytes()
    figures = httpx.get(report.link("t.m", "3-1.json"), timeout=60).json()
    assert "amount" in json.dumps(figures)


def test_without_a_store_there_is_no_link(s3_server: S3Server) -> None:
    """It says what to do; a store that is none is refused, and no secret is shown."""
    with pytest.raises(Unsupported, match="name a store"):
        EvidentlyDriftReport().link("t.m", "3-1.html")
    assert not EvidentlyDriftReport().fetch("t.m", Path("3-1.html"))
    secret = s3_server.options["aws_secret_access_key"]
    with pytest.raises(InvalidEnvironment) as told:
        bound(s3_server, "nowhere").kept("t.m")
    assert secret not in str(told.value)
