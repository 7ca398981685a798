"""The scorecard's assets: computed by one run of the platform's own location, with numbers that Dagster plots."""

from __future__ import annotations

import dagster as dg
import pytest

from loopline.asset_defs import code_location
from loopline.asset_defs.keys import CYCLE_JOB, LAKE_JOB, SCORECARD_JOB
from loopline.asset_defs.platform_location import platform_definitions
from loopline.asset_defs.scorecard import measured_runs
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.scorecard import latest
from loopline.scorecard.figure import Measure

ONE = ModelRef("tiny", "one")
TOPICS = ("cost", "delivery", "reuse", "service")


def test_the_location_has_an_asset_a_topic_and_a_schedule_that_runs():
    """No team's location has any of it; the job selects all four and runs every hour."""
    found = code_location.loopline
    keys = {key.to_user_string() for key in found.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {f"loopline/{topic}_scorecard" for topic in TOPICS}
    running = {s.name: s.job_name for s in found.schedules if s.default_status is dg.DefaultScheduleStatus.RUNNING}
    assert running == {f"{SCORECARD_JOB}_hourly": SCORECARD_JOB, f"{LAKE_JOB}_daily": LAKE_JOB}
    team = code_location.retail.resolve_asset_graph().get_all_asset_keys()
    assert not any("scorecard" in key.path[-1] for key in team)


@pytest.fixture
def computed(driver):
    """Let a rollout be started and promoted, and run the job."""
    driver.open_cycle("one", "first")
    now = driver.platform.clock.now()
    for kind in ("rollout.started", "rollout.promoted"):
        driver.platform.ledger.record(Entry(kind, now, *ONE, "c", "1", details={"rollout": "r"}))
    job = platform_definitions(driver.definitions.resources["platform"]).resolve_job_def(SCORECARD_JOB)
    return job.execute_in_process(instance=driver.instance)


def numbers(done, topic):
    """Return a topic's numbers by name, as Dagster keeps them."""
    events = {event.asset_key.path[-1]: event for event in done.asset_materializations_for_node("scorecard")}
    assert set(events) == {f"{topic}_scorecard" for topic in TOPICS}
    return {name: value.value for name, value in events[f"{topic}_scorecard"].metadata.items() if name != "figures"}


def test_a_run_materializes_every_topic_with_numbers(driver, computed):
    """The organisation's under their own name, a team's behind the team's; what is none is in the table only."""
    assert computed.success
    found = numbers(computed, "delivery")
    assert (found["deployments_a_week"], found["tiny: deployments_a_week"]) == (1.0, 1.0)
    assert "lead_time_median" not in found
    (event, *_) = computed.asset_materializations_for_node("scorecard")
    rows = {(r.data["scope"], r.data["figure"]): r.data for r in event.metadata["figures"].records}
    assert rows["organisation", "deployments_a_week"]["value"] == "1"
    assert rows["tiny", "lead_time_median"]["value"] == "none: no cycle was promoted"
    assert "DORA" in rows["tiny", "lead_time_median"]["how"]
    assert {figure.scope for figure in latest(driver.platform)} >= {"", "tiny"}


def test_runs_are_counted_by_location(driver):
    """One of two of the team's runs failed, and one of three of all; a team without runs has none."""
    for location, status in (("tiny", "SUCCESS"), ("tiny", "FAILURE"), ("other", "SUCCESS"), ("other", "STARTED")):
        tags = {".dagster/repository": f"__repository__@{location}"}
        driver.run(CYCLE_JOB, tags, dg.DagsterRunStatus[status])
    found = measured_runs(driver.instance, ["tiny", "third"])
    assert found["tiny"]["run_failure_rate"] == Measure(0.5, 2)
    assert found[""]["run_failure_rate"] == Measure(pytest.approx(1 / 3), 3)
    assert found["third"]["run_failure_rate"] == Measure(None, 0, "no run has ended")
