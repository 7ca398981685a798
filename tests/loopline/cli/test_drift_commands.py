"""``loopline drift show`` and ``ui``: what was judged, and the pages in a browser."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime

import httpx

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.monitor.drift.days import DAY
from loopline.platform_core.monitor.drift.drift_windows import WINDOW
from loopline.platform_core.platform import Platform
from loopline.resources.evidently.page_store import PageStore

REF = ModelRef("corner", "returns")
DAY_ONE = "2011-03-01"


def column(score: float | None, moved: str = "") -> dict[str, object]:
    """Write a column's verdict as the ledger has it."""
    drifted = score is None or score >= 0.15
    found = {"score": score, "threshold": 0.15, "drifted": drifted, "unseen_share": 0.0, "missing_share": 0.0}
    return found | {"kind": "numeric", "moved": moved}


def judged(kind: str, details: dict[str, object], amount: float | None) -> None:
    """Let a window or a day have been judged."""
    columns = {"amount": column(amount, "mean 20 → 31"), "country": column(0.01)}
    when = details.get("day", DAY_ONE)
    verdict = {"rows": 500, "enough": True, "columns": columns, "since": when, "until": when}
    at = datetime(2011, 3, 2, tzinfo=UTC)
    with closing(Platform.open()) as platform:
        platform.ledger.record(Entry(kind, at, *REF, version="1", details={**details, "verdict": verdict}))


def window(number: int, amount: float | None) -> None:
    """Let a window have been judged."""
    judged(WINDOW, {"number": number, "after": None, "until": [f"{DAY_ONE}T00:00:00+00:00", f"r{number}", 0]}, amount)


def test_an_alarm_is_told_with_its_columns(world):
    """Each drifted column stands with kind, score, threshold and how it moved; the alarm's reason says the same."""
    world.roll_out("first")
    for number, amount in enumerate((0.05, 0.4, 0.5), 1):
        window(number, amount)
    text = world.run("drift", "show", "returns").stdout
    assert "1 (2011-03-01)  500   quiet" in text
    assert "3 (2011-03-01)  500   amount  numeric  0.500  0.150      mean 20 → 31" in text
    assert "alarm: drifted in 2 of 3 windows (2011-03-01): amount 0." in text
    assert "mean 20 → 31" in text.splitlines()[-1]
    said = world.json("drift", "show", "returns", "--last", "1")
    assert said["alarm"].startswith("drifted in 2 of 3 windows")
    assert [(one["window"], one["until"][:10]) for one in said["windows"]] == [("3", "2011-03-01")]
    assert said["windows"][0]["columns"]["amount"]["moved"] == "mean 20 → 31"


def test_quiet_columns_are_shown_on_demand(world):
    """With --all every column is there; a model with one window a day has no days, and is told what a day needs."""
    world.roll_out("first")
    window(1, 0.05)
    assert "country" not in world.run("drift", "show", "returns").stdout
    text = world.run("drift", "show", "returns", "--all").stdout
    assert "country" in text
    assert text.endswith("no alarm\n")
    text = world.run("drift", "show", "returns", "--days").stdout
    assert "no day was judged" in text
    assert "the fullest day so far has 1" in text
    assert "alarm" not in text


def test_days_are_shown(world):
    """Days stand by their date, and are held against the same rule."""
    world.roll_out("first")
    for day in (1, 2):
        judged(DAY, {"day": f"2011-03-0{day}", "windows": 4}, 0.2)
    text = world.run("drift", "show", "returns", "--days").stdout
    assert "2011-03-02  500   amount" in text
    assert "alarm: drifted in 2 of 3 windows (2011-03-01 to 2011-03-02)" in text


def test_what_was_not_judged_is_not_quiet(world):
    """Without a live version it asks for one, without windows it says so; those that do exist are named."""
    world.open_cycle("first")
    assert world.json("drift", "show", "returns", code=1)["error"] == "NotFound"
    text = world.run("drift", "show", "returns", "--version", "1").stdout
    assert text.splitlines()[1:] == ["nothing was judged yet"]
    said = world.json("drift", "show", "returns", "--version", "99", code=1)
    assert said["error"] == "NotFound"
    assert "no version '99'" in said["problem"]
    assert "it has 1" in said["fix"]


def test_the_interface_of_a_vendor_without_one_is_refused(world):
    """A vendor that only writes pages says where they are."""
    said = world.json("drift", "ui", code=1)
    assert said["error"] == "Unsupported"
    assert "reports/" in said["fix"]


def test_the_interface_runs_as_a_process(world, monkeypatch):
    """The command that the vendor gives is run, and its exit code is the command's."""
    from loopline.resources.evidently.drift_report import EvidentlyDriftReport

    monkeypatch.setattr(
        EvidentlyDriftReport, "browser", lambda _self, port: [sys.executable, "-c", f"exit({port} - 8)"]
    )
    assert world.json("drift", "ui", "--port", "8")["exit_code"] == 0
    assert world.json("drift", "ui", "--port", "9", code=1)["exit_code"] == 1


def test_a_link_to_the_newest_page_is_signed_when_asked(world, s3_server):
    """It reads page and figures without another credential; without a store it says where pages could be kept."""
    version = world.roll_out("first")
    said = world.json("drift", "link", "returns", code=1)
    assert (said["error"], "name a store" in said["fix"]) == ("NotFound", True)
    binding = {"vendor": "evidently", "store": s3_server.place(), "storage_options": s3_server.options_in_file}
    world.bind("{vendor: evidently}", json.dumps(binding))
    pages = PageStore(binding["store"], s3_server.options)
    for number in (2, 10):
        pages.keep("corner.returns", f"{version}-{number}.html", b"%d" % number, f'{{"window": {number}}}')
    said = world.json("drift", "link", "returns")
    assert httpx.get(said["link"], timeout=60).text == "10"
    assert httpx.get(said["figures"], timeout=60).json() == {"window": 10}
    assert said["page"] == f"/reports/corner.returns/{version}-10.html"
    assert world.run("drift", "link", "returns").stdout.startswith("http")
    assert world.json("drift", "link", "returns", "--version", "99", code=1)["error"] == "NotFound"
