"""``loopline scorecard`` shows figures with units and reasons, and their history."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift

REF = ModelRef("corner", "returns")


@pytest.fixture
def promoted(world):
    """Promote a version after three hours, and let two days pass."""
    world.later(0)
    platform = Platform.open()
    now = platform.clock.now()
    cycle = cycles.open_cycle(platform.ledger, REF, Drift(), "by hand", "one", now)
    later = now + timedelta(hours=3)
    for kind in ("rollout.started", "rollout.promoted"):
        platform.ledger.record(Entry(kind, later, *REF, cycle.cycle_id, "1", details={"rollout": "r"}))
    cycles.close_cycle(platform.ledger, cycle.cycle_id, "promoted", "good", later)
    platform.close()
    world.later(40)
    return world


def figure(said, name):
    """Return a figure of the answer."""
    (found,) = [each for each in said["figures"] if each["name"] == name]
    return found


def test_what_was_never_computed_is_computed(promoted):
    """Without a daemon that has run, the command computes it itself; people see values with units, then reasons."""
    said = promoted.json("scorecard", "--team", "corner")
    assert figure(said, "lead_time_median")["value"] == 3.0
    assert figure(said, "lead_time_median")["unit"] == "hours"
    assert figure(said, "change_failure_rate")["value"] == 0.0
    assert "nothing was asked" in figure(said, "latency_p99")["reason"]
    assert {each["scope"] for each in promoted.json("scorecard")["figures"]} >= {"", "corner"}
    text = promoted.run("scorecard", "--team", "corner").stdout
    assert "Lead time, median" in text
    assert "none  latency_p99: nothing was asked" in text
    assert "how   lead_time_median: from the change" in promoted.run("scorecard", "--how").stdout


def test_a_figure_s_history_is_a_row_a_day(promoted):
    """The day of the promotion, the next one, and today so far; the text shows as many. A wrong name lists all."""
    said = promoted.json("scorecard", "--history", "lead_time_median")["history"]
    assert [each["value"] for each in said] == [3.0, 3.0, 3.0]
    text = promoted.run("scorecard", "--history", "lead_time_median").stdout
    assert text.count("  3      hours  1") == 3
    assert "DORA" in text
    wrong = promoted.run("scorecard", "--history", "speed")
    assert wrong.exit_code == 2
    assert "lead_time_median" in wrong.stderr


def test_refresh_takes_in_what_happened_since(promoted):
    """The hour's figures stand until they are computed again."""
    promoted.json("scorecard")
    promoted.record(Entry("skew.checked", promoted.now, *REF, version="1", details={"passed": False}))
    assert figure(promoted.json("scorecard", "--team", "corner"), "skew_incidents")["value"] == 0.0
    assert figure(promoted.json("scorecard", "--team", "corner", "--refresh"), "skew_incidents")["value"] == 1.0


def test_a_team_that_nobody_knows_is_named(world):
    """It was answered with nothing, and exit code 0."""
    said = world.json("scorecard", "--team", "nosuch", code=1)
    assert said["problem"] == "no team or model 'nosuch' is known"
    assert "corner/returns" in said["fix"]
