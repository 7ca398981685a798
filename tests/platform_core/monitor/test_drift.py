"""The monitor judges each prediction once, writes windows down, and draws a page when they alarm."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from loopline.cli.model.simulation import LIVE, Move, simulate
from loopline.platform_core.alarms import standing
from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.monitor.drift.answers import answers
from loopline.platform_core.monitor.drift.drift import AT_MOST, at_most, last_report, report, watch
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, ColumnVerdict
from loopline.platform_core.monitor.drift.drift_windows import WINDOW, Place, judged
from loopline.platform_core.monitor.drift.profile import SAMPLE
from loopline.platform_core.monitor.drift.rounds import bounds
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.sites import Sites
from tests.platform_core.monitor.conftest import FEATURES


def look(shop):
    """Compact and watch."""
    compact(shop.platform, shop.team, shop.model)
    return watch(shop.platform, shop.team, shop.model)


BEYOND = ColumnVerdict(math.inf, 0.12, True, 0.0, 0.0, "numeric", "mean 20 → inf")


def _windows(shop):
    return shop.platform.ledger.entries(shop.ref, [WINDOW])


def page(shop):
    """Draw the newest window."""
    return report(shop.platform, shop.team, shop.model)


def test_nothing_live_or_answered_is_nothing_to_judge(shop) -> None:
    """Without a deployment, and of a version that never answered, there are no windows, and no page can be drawn."""
    assert look(shop).windows == []
    shop.deploy()
    watched = look(shop)
    assert (watched.windows, watched.alarm, page(shop)) == ([], None, None)


def test_rows_wait_until_they_fill_a_window(shop) -> None:
    """499 rows wait; with one more they are judged, once, and the ledger has their scores and thresholds."""
    shop.deploy()
    shop.answer(499)
    assert look(shop).windows == []
    shop.answer(1)
    watched = look(shop)
    assert [window.rows for window in watched.windows] == [500]
    assert watched.alarm is None
    assert look(shop).windows == []
    (entry,) = shop.platform.ledger.entries(shop.ref, [WINDOW])
    assert (entry.version, entry.reason, entry.at) == ("1", "quiet", shop.start + timedelta(days=1))
    assert set(entry.details["verdict"]["columns"]) == {"amount", "country", "score", JOINT}
    assert entry.details["verdict"]["columns"]["amount"]["threshold"] >= 0.1


def test_many_rows_make_several_windows(shop) -> None:
    """All waiting rows are judged in even windows of at least 500, in order of event time."""
    shop.deploy()
    shop.answer(1_700)
    watched = look(shop)
    assert [window.rows for window in watched.windows] == [566, 567, 567]
    windows = judged(shop.platform, shop.ref, "1")
    assert [window.number for window in windows] == [1, 2, 3]
    assert [window.until.request_id for window in windows] == ["r000566", "r001133", "r001700"]
    assert [window.verdict for window in windows] == watched.windows


def test_drift_in_two_windows_of_three_alarms_with_a_page(shop) -> None:
    """One drifted window is noted; the second alarms, names the column, and its page opens without the network."""
    shop.deploy()
    shop.answer(500)
    shop.answer(500, factor=1.6)
    assert look(shop).alarm is None
    shop.answer(500, factor=1.6)
    watched = look(shop)
    assert watched.alarm.columns == ("amount",)
    assert last_report(shop.platform, shop.team, shop.model) is None
    drawn = page(shop)
    assert drawn == shop.platform.home / "reports" / "shop.returns" / "1-3.html"
    assert drawn == last_report(shop.platform, shop.team, shop.model, within=1)
    shop.answer(500)
    look(shop)
    assert last_report(shop.platform, shop.team, shop.model, within=1) is None
    assert drawn == last_report(shop.platform, shop.team, shop.model, within=2)
    text = drawn.read_text()
    assert "500 of 500 rows" in text
    assert 'data-column="amount"' in text


def test_an_alarm_stands_until_windows_calm_down(shop) -> None:
    """Asked again without new windows, the alarm is the same; quiet windows end it."""
    shop.deploy()
    for _ in range(2):
        shop.answer(500, factor=1.6)
        first = look(shop)
    again = look(shop)
    assert first.alarm is not None
    assert (again.windows, again.alarm) == ([], first.alarm)
    (told,) = standing(shop.platform.ledger)
    assert told.alarm.cause == f"drift:{shop.ref}"
    assert told.alarm.problem == f"drift: {first.alarm.reason}"
    for _ in range(2):
        shop.answer(500)
        calm = look(shop)
    assert calm.alarm is None
    assert standing(shop.platform.ledger) == []


def test_from_a_site_only_figures_of_drift_are_told(shop) -> None:
    """How a column moved names values: the alarm says which column, how far, and nothing of what stood in it."""
    shop.deploy()
    shop.platform.environment = replace(shop.platform.environment, site="eu", sites=Sites(("eu",)))
    for _ in range(2):
        shop.answer(500, factor=1.6)
        found = look(shop).alarm
    assert re.fullmatch(r"amount \d\.\d\d \(from \d\.\d\d\)", found.moved["amount"])
    verdicts = [entry.details["verdict"]["columns"] for entry in _windows(shop)]
    assert {column["moved"] for columns in verdicts for column in columns.values()} == {""}


def test_the_largest_floats_stop_no_watch(shop) -> None:
    """Two rows a window hold the largest float64: windows stay quiet, and a drift of the others alarms as ever."""
    shop.deploy()
    for factor in (1.0, 1.0, 1.0, 1.6, 1.6):
        shop.answer(500, factor=factor)
        for row in shop.serving._log[shop.ref.dotted][-2:]:
            row["features"] = json.dumps({**json.loads(row["features"]), "amount": sys.float_info.max})
        found = look(shop).alarm
        assert factor == 1.6 or found is None
    assert found.columns == ("amount",)
    scores = [entry.details["verdict"]["columns"]["amount"]["score"] for entry in _windows(shop)]
    assert [score > 0.2 for score in scores] == [False, False, False, True, True]


def test_an_alarm_amid_many_windows_is_not_missed(shop) -> None:
    """Windows judged in one call are each held against the rule, not only the last."""
    shop.deploy()
    shop.answer(1_000, factor=1.6)
    shop.answer(1_000)
    watched = look(shop)
    assert [bool(window.drifted) for window in watched.windows] == [True, True, False, False]
    assert watched.alarm is not None


def test_a_page_is_drawn_on_demand(shop) -> None:
    """Without an alarm the newest window is drawn when asked for, also after it was judged."""
    shop.deploy()
    shop.answer(500)
    assert look(shop).alarm is None
    drawn = page(shop)
    assert drawn.name == "1-1.html"
    assert "500 of 500 rows" in drawn.read_text()


def test_windows_hold_what_all_versions_were_asked(shop) -> None:
    """Inputs of all rows count, scores only where one version answered; a new version goes on where the last ended.

    Failed requests are left out, and rows of versions that lack a feature, take it from elsewhere, or are gone.
    """
    shop.deploy()
    shop.deploy("2")
    profile = shop._profiled()
    shop.publish("3", profile, ["amount"])
    shop.publish("4", profile, FEATURES, view="shop.orders.v2")
    shop.promote("1")
    shop.answer(500)
    shop.answer(300, version="2")
    shop.answer_scores([None] * 400)
    for version in ("3", "4", "5"):
        shop.answer(600, version=version, factor=100)
    (window,) = look(shop).windows
    assert (window.rows, window.drifted) == (800, ())
    assert ("score" in window.columns, "amount" in window.columns) == (False, True)
    shop.promote("2")
    shop.answer(499, version="2")
    assert look(shop).windows == []
    shop.answer(1, version="2")
    (window,) = look(shop).windows
    assert (window.rows, "score" in window.columns) == (500, True)
    assert [window.number for window in judged(shop.platform, shop.ref, "2")] == [1]


def test_of_two_monitors_the_first_counts(shop) -> None:
    """A window number that is taken in the ledger is not written again."""
    shop.deploy()
    shop.answer(500)
    look(shop)
    entry = Entry(WINDOW, shop.start, *shop.ref, version="1", details={"number": 1})
    shop.platform.ledger.record(entry, once=f"{WINDOW}:shop.returns:1:1")
    assert len(judged(shop.platform, shop.ref, "1")) == 1


@pytest.mark.parametrize("before", [False, True])
def test_an_answer_of_next_century_blinds_nobody(shop, monkeypatch, before: bool) -> None:
    """Drift after it alarms; also where a window ends in it that was judged ``before`` such rows were left out."""
    shop.deploy()
    shop.answer(500 + (not before))
    row = shop.serving._log[shop.ref.dotted][-1]
    row["event_time"] = row["event_time"].replace(year=2111)
    shop.platform.clock.set(row["logged_at"])
    with monkeypatch.context() as patch:
        if before:
            patch.setattr("loopline.platform_core.monitor.drift.answers.MOST_AHEAD", timedelta(days=100_000))
        assert [window.rows for window in look(shop).windows] == [500]
    shop.answer(1_000, factor=5.0)
    found = look(shop)
    assert [window.rows for window in found.windows] == [500] * 2
    assert found.alarm is not None
    assert look(shop).windows == []


def test_rows_of_one_instant_are_told_apart(shop) -> None:
    """A window may end between rows of one instant and of one request: none is read twice or left out."""
    rows = [
        shop._row({}, 0.5, "1") | {"event_time": shop.start, "request_id": f"r{n // 2}", "row": n % 2}
        for n in range(10)
    ]
    shop.serving.log(rows)
    compact(shop.platform, shop.team, shop.model)
    middle = Place(shop.start.isoformat(), "r2", 0)
    lake = shop.platform.lake
    assert answers(lake, shop.ref, "1", None, middle).num_rows == 5
    assert answers(lake, shop.ref, "1", middle).num_rows == 5


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (4, []), (5, [5]), (9, [9]), (11, [5, 6])])
def test_windows_are_even(rows: int, sizes: list[int]) -> None:
    """Rows are cut into as many windows as they fill, without a rest."""
    assert np.diff(bounds(np.arange(rows), 5, AT_MOST)).tolist() == sizes
    assert len(bounds(np.arange(1_000), 5, AT_MOST)) == AT_MOST + 1


def test_a_late_monitor_makes_more_windows_not_larger_ones() -> None:
    """Windows keep their usual size while a call can judge so many; a monitor that keeps up makes what it made."""
    assert [at_most(rows, [1_443] * 5) for rows in (500, 17_316, 90_000, 1_000_000)] == [12, 12, 60, 60]
    assert at_most(100_000, []) == 12
    assert at_most(40_000, [1_000, 1_000, 9_000]) == 40


def test_a_package_without_profile_is_named(shop) -> None:
    """The monitor says what to do about a version that was trained without a profile."""
    package = shop.deploy()
    (package / SAMPLE).unlink()
    with pytest.raises(NotFound, match="no drift profile"):
        look(shop)


def test_a_simulated_move_is_told_from_what_drifted_before(shop) -> None:
    """Predictions that alarm by themselves are not the move's fault; by rows of the training set it is seen alone."""
    shop.deploy()
    shop.answer(500, factor=1.6)
    compact(shop.platform, shop.team, shop.model)
    rule = shop.model.drift
    found = simulate(shop.platform, shop.ref, rule, Move("amount", shift=0.01), None)
    assert found.rows_from == LIVE
    assert found.anyway is not None
    assert (found.would_alarm, found.added) == (False, ())
    alone = simulate(shop.platform, shop.ref, rule, Move("amount", shift=0.01), None, learnt=True)
    assert (alone.anyway, alone.lasting, alone.would_alarm) == (None, None, False)
    assert simulate(shop.platform, shop.ref, rule, Move("amount", factor=2), None, learnt=True).would_alarm
