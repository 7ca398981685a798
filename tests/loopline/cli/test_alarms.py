"""``loopline alarms`` and ``loopline watchdog --once``."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from loopline.platform_core.alarms import Alarm, clear, raise_alarm, watchdog_heartbeat
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import watchdog_looks
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.parts.http_sink import HttpSink

DRIFT = Alarm(
    "drift:corner/returns", "warning", "value 0.41 (from 0.10)", "retrain", ModelRef("corner", "returns"), "http://d/1"
)


@pytest.fixture
def platform(world):
    """The platform of the command line."""
    opened = Platform.open()
    yield opened
    opened.close()


def test_list_says_what_is_wrong_and_what_to_do(world, platform):
    """Cause, since when, problem, fix and page; for programs the same as JSON."""
    raise_alarm(platform, DRIFT)
    raise_alarm(platform, Alarm("daemon", "error", "dead", "start it"))
    clear(platform, "daemon")
    text = world.run("alarms", "list").stdout
    for part in ("warning  drift:corner/returns  since ", "  value 0.41 (from 0.10)", "  → retrain", "  http://d/1"):
        assert part in text
    assert "daemon" not in text
    assert "over     daemon" in world.run("alarms", "list", "--all").stdout
    (found,) = world.json("alarms", "list")["alarms"]
    expected = {"cause": DRIFT.cause, "severity": "warning", "subject": "corner/returns", "told": []}
    assert {name: found[name] for name in expected} == expected


def test_list_says_when_nobody_watches(world, platform):
    """No alarm is no good news where no watchdog looks."""
    assert "no alarm stands\nno watchdog has looked yet" in world.run("alarms", "list").stdout
    assert world.json("alarms", "list")["watchdog"] is None
    watchdog_looks.note(platform.ledger, watchdog_heartbeat.ROUND)
    assert world.run("alarms", "list").stdout == "no alarm stands\n"
    assert world.json("alarms", "list")["watchdog"] == watchdog_heartbeat.last(platform.ledger).isoformat()
    with platform.ledger.writing() as connection:
        connection.execute(tables.watchdog_looks.update().values(at=datetime(2011, 3, 1, tzinfo=UTC)))
    assert "the watchdog has not looked for" in world.run("alarms", "list").stdout


def test_acknowledge_takes_it_on(world, platform):
    """By name and with a reason; a cause that does not stand is refused with a way to find those that do."""
    raise_alarm(platform, DRIFT)
    said = world.run("alarms", "acknowledge", DRIFT.cause, "--reason", "I look at the price list").stdout
    assert said == "drift:corner/returns is taken on by alice: I look at the price list\n"
    assert "taken by  alice: I look at the price list" in world.run("alarms", "list").stdout
    missing = world.json("alarms", "acknowledge", "drift:nobody", "--reason", "x", code=1)
    assert "loopline alarms list" in missing["fix"]


def test_the_watchdog_looks_once(world, platform):
    """It tells what stands to whom the environment names, and its exit code says whether anything does."""
    with HttpSink() as sink:
        world.say(f"notifiers:\n  ops: {{vendor: webhook, url: '{sink.url}'}}\n")
        assert world.json("watchdog", "--once")["standing"] == []
        raise_alarm(platform, DRIFT)
        assert world.json("watchdog", "--once", code=1)["standing"] == [DRIFT.cause]
        clear(platform, DRIFT.cause)
        assert world.run("watchdog", "--once").exit_code == 0
        said = [json.loads(one.body)["what"] for one in sink.posted]
    assert said == ["raised", "over"]


def test_a_dagster_that_is_away_is_found(world):
    """Asked for by name and not there: that is an alarm at once."""
    result = world.json("watchdog", "--once", "--dagster", "http://127.0.0.1:9", code=1)
    assert result["standing"] == ["web"]
