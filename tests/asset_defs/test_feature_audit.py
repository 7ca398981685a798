"""The nightly audit in Dagster: each view is observed, what differs is an alarm, and one view's trouble its own."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from loopline.asset_defs.keys import AUDIT_JOB, key
from loopline.platform_core import alarms
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import online_view
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.specs import Source
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore

EVENTS = Source("events", "events.yaml")
SEEN = FeatureView("seen", EVENTS, "who", "at", lambda rows: rows.select("who", "at", x="who"))
TORN = FeatureView("torn", EVENTS, "who", "at", lambda rows: rows.select("who", "nothing"))


@pytest.fixture
def driver(driver):
    """Give the tiny team a view that can be made, one that cannot, and a store; two files have landed."""
    driver.platform.environment.bindings["online_store"] = InMemoryOnlineStore()
    driver.deliver("1.csv", "Who,At\n1,2011-02-01\n2,2011-02-02\n")
    land(driver.platform, driver.team, EVENTS)
    model = driver.team.models[0]
    well = replace(driver.team, models=(replace(model, features=(SEEN,)),))
    materialize(driver.platform, well, SEEN)
    return driver.of(replace(driver.team, models=(replace(model, features=(TORN, SEEN)),)))


def test_each_view_is_observed_and_a_difference_is_an_alarm(driver):
    """The run fails for the view that cannot be computed, after the others were looked at."""
    driver.platform.online_store.drop(online_view("tiny", SEEN))
    assert not driver.execute(AUDIT_JOB).success
    (event,) = driver.instance.fetch_observations(key("tiny", "features", "seen"), limit=9).records
    metadata = {name: value.value for name, value in event.asset_observation.metadata.items()}
    expected = {"audited_entities": 2, "differing_entities": 2, "mended": 0, "cause": "online differs"}
    assert metadata == expected
    assert [one.alarm.cause for one in alarms.standing(driver.platform.ledger)] == ["audit:tiny/seen"]
    driver.execute(AUDIT_JOB, run_config={"ops": {"audit_features": {"config": {"mend": True}}}})
    driver.execute(AUDIT_JOB)
    assert alarms.standing(driver.platform.ledger) == []


def test_it_runs_each_night(driver):
    """Behind the lake's care and before the quality of the day."""
    schedules = driver.definitions.get_repository_def().schedule_defs
    (nightly,) = [schedule for schedule in schedules if schedule.job_name == AUDIT_JOB]
    assert nightly.cron_schedule == "5 5 * * *"
    assert nightly.default_status == dg.DefaultScheduleStatus.RUNNING
