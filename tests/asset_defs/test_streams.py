"""A source that arrives as a stream: its lag requests a run, and the run tells the lag that is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopline.asset_defs.keys import INGEST_JOB, key
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream


@pytest.fixture
def streaming(driver):
    """Let the tiny team's events arrive as a stream."""
    source = replace(driver.team.source("events"), arrives="stream")
    model = driver.team.models[0]
    view, labels = replace(model.features[0], source=source), replace(model.labels, source=source)
    driver.platform.environment.bindings["event_stream"] = InMemoryEventStream()
    return driver.of(replace(driver.team, models=(replace(model, features=(view,), labels=labels),)))


def send(driver, count: int) -> None:
    """Publish events, a bad one among them."""
    good = [Record(b'{"Who": %d, "At": "2011-02-01"}' % n, b"%d" % n) for n in range(count)]
    driver.platform.event_stream.publish("tiny/events", [*good, Record(b"no json")])


def test_lag_requests_a_run_and_the_run_observes_what_is_left(streaming):
    """The sensor sees records that wait, the landing lands them; the observation is on the stream itself."""
    assert streaming.tick("ingest") == ([], "nothing new has arrived")
    send(streaming, 9)
    ((request,), _) = streaming.tick("ingest")
    result = streaming.execute(INGEST_JOB, asset_selection=request.asset_selection[:2])
    assert result.success
    assert streaming.tick("ingest") == ([], "nothing new has arrived")
    [event] = streaming.instance.fetch_observations(key("tiny", "arrivals", "events"), limit=9).records
    said = {name: value.value for name, value in event.asset_observation.metadata.items()}
    assert said == {"lag": 0, "lag/0": 0, "lag/1": 0}
    landed = streaming.instance.get_latest_materialization_event(key("tiny", "raw", "events")).asset_materialization
    assert landed.metadata["dagster/row_count"].value == 9
    assert landed.metadata["dead_letters_by_reason"].value == {"row.malformed": 1}


def test_a_stream_has_no_schedule(streaming):
    """Its lag says when to land."""
    schedules = streaming.definitions.get_repository_def().schedule_defs
    assert INGEST_JOB not in {schedule.job_name for schedule in schedules}


def test_the_graph_says_that_it_is_a_stream(streaming):
    """Lineage begins at the stream, under its own words."""
    graph = streaming.definitions.resolve_asset_graph()
    assert graph.get(key("tiny", "arrivals", "events")).description == "Stream of events"
