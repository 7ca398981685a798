"""The ingest sensor: what a run left behind is taken up, and a source that cannot be asked holds up no other."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import dagster as dg
import pytest

from loopline.asset_defs.keys import INGEST_JOB, SOURCE_TAG
from loopline.asset_defs.sensors import ingest_sensor, source_state
from loopline.asset_defs.sensors.source_state import SourceState
from loopline.platform_core import alarms
from loopline.platform_core.errors import InvalidSpec, StoreUnavailable
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.specs import Source
from loopline.platform_core.specs.views.features import FeatureView

SEEN = FeatureView("seen", Source("events", "events.yaml"), "who", "at", lambda rows: rows.select("who", "at", x="who"))
NOTHING = ([], "nothing new has arrived")


@pytest.fixture
def driver(driver):
    """Give the tiny team a view that can be made, and a store for it."""
    return driver.seeing(SEEN)


@pytest.fixture
def soon(monkeypatch):
    """Let the sensor wait for nobody who may be at it."""
    monkeypatch.setattr(ingest_sensor, "BEHIND_SECONDS", 0.0)


def keys(request) -> list[str]:
    """List what a run is to make."""
    return [asset.to_user_string() for asset in request.asset_selection]


def landed(driver, name: str) -> None:
    """Let a file land by a run that dies before it makes features."""
    driver.deliver(name, f"Who,At\n{name[0]},2011-02-0{name[0]}\n")
    assert land(driver.platform, driver.team, driver.team.source("events")).rows == 1


def wait_is_over(driver) -> None:
    """Let the time pass for which the sensor leaves a source alone."""
    cursor = json.loads(driver.cursors["ingest"])
    for state in cursor.values():
        state["next_at"] = state["behind"]["next_at"] = 0
    driver.cursors["ingest"] = json.dumps(cursor)


def test_features_that_a_dead_run_left_behind_are_requested(driver, soon):
    """Nothing is pending, but the raw rows are further than the view: only the view is made, and then all is quiet."""
    landed(driver, "1.csv")
    ((request,), _) = driver.tick("ingest")
    assert keys(request) == ["tiny/seen_features"]
    assert request.tags[SOURCE_TAG] == "tiny/events"
    driver.run(INGEST_JOB, request.tags, dg.DagsterRunStatus.STARTED)
    wait_is_over(driver)
    assert driver.tick("ingest") == NOTHING


def test_a_run_of_the_schedule_is_waited_for(driver, soon):
    """It lands every source and says of none that it is at it; when it is over, what it left behind is taken up."""
    landed(driver, "1.csv")
    run = driver.run(INGEST_JOB, {}, dg.DagsterRunStatus.STARTED)
    assert driver.tick("ingest") == NOTHING
    driver.instance.report_run_failed(driver.instance.get_run_by_id(run))
    assert len(driver.tick("ingest")[0]) == 1


def test_whoever_is_at_it_is_given_time(driver):
    """A command or a stream's own process lands first and makes features then: no run comes in between."""
    landed(driver, "1.csv")
    assert [driver.tick("ingest") for _ in range(3)] == [NOTHING] * 3
    landed(driver, "2.csv")
    assert driver.tick("ingest") == NOTHING
    wait_is_over(driver)
    assert len(driver.tick("ingest")[0]) == 1


def test_a_view_that_cannot_be_made_is_requested_so_that_its_run_says_why(driver, soon):
    """The source itself is well: no alarm says otherwise."""
    landed(driver, "1.csv")
    odd = driver.seeing(replace(SEEN, compute=lambda rows: rows.select("who", "at")))
    assert keys(odd.tick("ingest")[0][0]) == ["tiny/seen_features"]
    assert alarms.standing(driver.platform.ledger) == []


def test_features_that_have_followed_request_nothing(driver, soon, monkeypatch):
    """Once they have followed, the view's own table is not even looked at before something lands."""
    landed(driver, "1.csv")
    materialize(driver.platform, driver.team, driver.team.views[0])
    assert driver.tick("ingest") == NOTHING
    monkeypatch.delattr(ingest_sensor, "progress")
    assert driver.tick("ingest") == NOTHING


def test_how_far_features_are_is_seen_without_the_engine(driver, soon, monkeypatch):
    """A code server that only looks loads no engine: its library is the half of what such a process would hold."""
    landed(driver, "1.csv")
    materialize(driver.platform, driver.team, driver.team.views[0])
    landed(driver, "2.csv")
    monkeypatch.delattr(type(driver.platform.engine), "compute_view")
    assert keys(driver.tick("ingest")[0][0]) == ["tiny/seen_features"]


def test_a_view_that_fails_is_tried_more_and_more_seldom(driver, soon):
    """Each request doubles the wait before the next one, and a further landing begins anew."""
    landed(driver, "1.csv")
    requests = [driver.tick("ingest")[0] for _ in range(5)]
    assert [len(each) for each in requests] == [1, 0, 0, 0, 0]
    wait_is_over(driver)
    assert len(driver.tick("ingest")[0]) == 1
    assert source_state.read(driver.cursors["ingest"], ["events"])["events"].behind.requests == 2
    landed(driver, "2.csv")
    assert len(driver.tick("ingest")[0]) == 1
    assert source_state.read(driver.cursors["ingest"], ["events"])["events"].behind.requests == 1


@pytest.fixture
def two(driver):
    """Give the team a second source, whose contract cannot be read and whose name comes first."""
    driver.team.folder.joinpath("broken.yaml").write_text("schema: [oops\n")
    broken = Source("broken", "broken.yaml")
    view = FeatureView("odd", broken, "who", "at", lambda rows: rows)
    model = driver.team.models[0]
    return driver.of(replace(driver.team, models=(replace(model, features=(view, *model.features)),)))


def test_a_source_that_cannot_be_asked_holds_up_no_other(two):
    """The other source lands; the message and an alarm name the broken one with file and line, until it is mended."""
    two.deliver("1.csv", "Who,At\n1,2011-02-01\n")
    ((request,), _) = two.tick("ingest")
    assert request.tags[SOURCE_TAG] == "tiny/events"
    (one,) = alarms.standing(two.platform.ledger)
    assert one.alarm.cause == "source:tiny/broken"
    assert "broken.yaml" in one.alarm.problem
    assert one.alarm.about == "tiny"

    two.run(INGEST_JOB, request.tags, dg.DagsterRunStatus.STARTED)
    assert "left alone" in two.tick("ingest")[1]
    two.team.folder.joinpath("broken.yaml").write_text(two.team.folder.joinpath("events.yaml").read_text())
    wait_is_over(two)
    assert two.tick("ingest") == NOTHING
    assert alarms.standing(two.platform.ledger) == []


def test_a_sensor_that_has_lost_its_memory_ends_the_alarm_too(two):
    """A cursor may be reset in Dagster: what stood then must not stand for ever."""
    two.tick("ingest")
    two.team.folder.joinpath("broken.yaml").write_text(two.team.folder.joinpath("events.yaml").read_text())
    two.cursors.clear()
    two.tick("ingest")
    assert alarms.standing(two.platform.ledger) == []


def test_what_may_pass_is_no_alarm_for_a_minute():
    """A broker that starts again is none; what stays is one at once. The next look comes later and later."""
    away, wrong = StoreUnavailable("away", "start it"), InvalidSpec("wrong", "mend it")
    state = SourceState().failed(1000.0)
    assert [state.is_alarming(error, 1000.0) for error in (away, wrong)] == [False, True]
    assert (state.next_at, state.failed(1015.0).next_at) == (1015.0, 1045.0)
    later = state.failed(1015.0).failed(1061.0)
    assert later.is_alarming(away, 1061.0)
    for _ in range(20):
        later = later.failed(2000.0)
    assert later.next_at == 2300.0
    assert later.answered() == SourceState()


@pytest.fixture
def set_clock(monkeypatch):
    """Set this machine's clock ahead by so many seconds."""
    real = time.time
    return lambda ahead: monkeypatch.setattr(time, "time", lambda: real() + ahead)


def test_a_source_is_left_alone_no_longer_than_it_said_whatever_the_clock_was(two, set_clock):
    """It failed while the clock was a day ahead: put right, it is asked, and its alarm comes as soon as ever."""
    set_clock(86_400)
    two.tick("ingest")
    failed = source_state.read(two.cursors["ingest"], ["broken"])["broken"]
    two.team.folder.joinpath("broken.yaml").write_text(two.team.folder.joinpath("events.yaml").read_text())
    set_clock(0)
    assert two.tick("ingest") == NOTHING
    now = failed.next_at - 86_400
    assert failed.failed(now).failed(now + 61).is_alarming(StoreUnavailable("away", "start it"), now + 61)


def test_features_are_requested_no_later_than_it_said_whatever_the_clock_was(driver, soon, set_clock):
    """They were requested while the clock was a day ahead, and that run died."""
    landed(driver, "1.csv")
    set_clock(86_400)
    assert len(driver.tick("ingest")[0]) == 1
    set_clock(0)
    assert len(driver.tick("ingest")[0]) == 1
    assert driver.tick("ingest") == NOTHING


@pytest.mark.parametrize("cursor", [None, "", "[]", "no json", '{"events": 3}', '{"events": {"gone": 1}}'])
def test_a_cursor_of_nobody_is_as_none(cursor):
    """Also what an older or newer version wrote."""
    assert source_state.read(cursor, ["events"]) == {"events": SourceState()}
