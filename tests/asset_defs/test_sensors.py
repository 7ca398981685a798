"""Sensors that start rollout steps, landings and looks at live traffic: a run only where there is something to do."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
from sqlalchemy import event, update

from loopline.asset_defs.keys import CYCLE_TAG, INGEST_JOB, MODEL_TAG, MONITOR_JOB, ROLLOUT_JOB, SOURCE_TAG, key
from loopline.asset_defs.sensors import ingest_sensor
from loopline.platform_core.contracts.registry import CANDIDATE
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion import landing
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.loop.rollouts.rollback import roll_back
from loopline.platform_core.specs import Source
from loopline.platform_core.specs.views.features import FeatureView
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.turn import start_rollout

ONE = ModelRef("tiny", "one")
STARTED, SUCCESS = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS


@contextmanager
def asked_of(ledger):
    """Give the statements that the ledger is asked meanwhile."""
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_others) -> None:
        if statement != "BEGIN":  # SQLite alone says it aloud
            asked.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def roll_out(driver, model: str, name: str) -> rollouts.RolloutRecord:
    """Start the rollout of a new version; the first of a model goes live at once."""
    ref, now = ModelRef(driver.team.name, model), driver.platform.clock.now()
    cycle = driver.open_cycle(model, name)
    version = driver.judged(model, cycle)
    return start_rollout(driver.platform, ref, driver.team.model(model), version, cycle, now)


def ask(driver, model: str, count: int, **scores: float | None) -> None:
    """Send requests; versions are answered with 0.5, or as told (``v2=None``: they fail)."""
    name = ModelRef(driver.team.name, model).dotted
    every = {v.version: 0.5 for v in driver.platform.registry.versions(name)}
    told = {version.removeprefix("v"): score for version, score in scores.items()}
    for number in range(count):
        driver.platform.serving.answer(name, f"customer {number}", every | told)


def candidates(driver) -> list[str]:
    """Name the versions that the registry shows as candidates of the model."""
    every = driver.platform.registry.versions(ONE.dotted)
    return [one.version for one in every if CANDIDATE in one.aliases]


@pytest.fixture
def rollout(driver) -> rollouts.RolloutRecord:
    """Give a rollout at its first step, of a second version."""
    assert roll_out(driver, "one", "first").state == "promoted"
    return roll_out(driver, "one", "second")


def test_a_rollout_that_waits_gets_no_run(driver, rollout):
    """Too few requests, then not baked long enough: the sensor itself sees that, and no run is started."""
    assert rollout.percent == 50
    assert driver.tick("rollout") == ([], "1 rollouts bake or are watched")
    ask(driver, "one", 40)
    assert driver.tick("rollout") == ([], "1 rollouts bake or are watched")
    driver.later(1)
    assert len(driver.tick("rollout")[0]) == 1


def test_what_an_endpoint_did_not_take_is_asked_for_at_the_next_tick(driver, rollout):
    """Also when the rollout that decided it is over, and nobody would step it again."""
    driver.platform.environment.bindings["serving"] = fresh = InMemoryServing()
    with driver.platform.ledger.writing(ONE) as connection:
        connection.execute(update(tables.deployments).values(applied=1))
    assert fresh.observe(ONE.dotted).generation is None
    driver.tick("rollout")
    assert fresh.observe(ONE.dotted).generation == deployment(driver.platform.ledger, ONE).generation


def test_a_step_is_one_run_at_a_time(driver, rollout):
    """The run names its rollout and cycle; while it is under way no second one is requested."""
    ask(driver, "one", 40)
    driver.later(1)
    ((request,), _) = driver.tick("rollout")
    assert request.run_config == {"ops": {"take_step": {"config": {"rollout_id": rollout.rollout_id}}}}
    assert {CYCLE_TAG: rollout.cycle, MODEL_TAG: "tiny/one"}.items() <= request.tags.items()
    driver.run(ROLLOUT_JOB, request.tags, STARTED)
    assert driver.tick("rollout")[0] == []


def test_the_step_job_takes_the_step_and_is_seen_on_the_deployment(driver, rollout):
    """Each step leaves an observation on the deployment; the last closes the cycle as promoted."""
    seen = []
    for _ in range(2):
        ask(driver, "one", 40)
        driver.later(1)
        ((request,), _) = driver.tick("rollout")
        done = driver.execute(ROLLOUT_JOB, run_config=request.run_config, tags=dict(request.tags))
        assert done.success
        (observed,) = driver.instance.fetch_observations(key("tiny", "deployment", "one"), limit=1).records
        seen.append({name: value.value for name, value in observed.asset_observation.metadata.items()})
    assert [(step["action"], step["percent"]) for step in seen] == [("advance", 100), ("promote", 100)]
    assert driver.state(rollout.cycle)[0] == "promoted"
    assert driver.tick("rollout") == ([], "0 rollouts bake or are watched")


def test_harm_is_acted_on_before_the_bake_time_is_over(driver, rollout):
    """Enough failed answers of the candidate, and the sensor itself takes it back: a run may be slow to begin.

    The run shows it in the registry, and leaves on the deployment what was done and why.
    """
    ask(driver, "one", 40, v2=None)
    ((request,), _) = driver.tick("rollout")
    assert rollouts.rollout(driver.platform.ledger, rollout.rollout_id).state == "rolled_back"
    assert driver.state(rollout.cycle)[0] == "rolled_back"
    live = deployment(driver.platform.ledger, ONE)
    assert (live.candidate, driver.platform.serving.observe(ONE.dotted).generation) == (None, live.generation)
    assert candidates(driver) == [rollout.version]
    driver.run(ROLLOUT_JOB, request.tags, STARTED)
    assert driver.tick("rollout")[0] == []
    done = driver.execute(ROLLOUT_JOB, run_config=request.run_config, tags=dict(request.tags))
    assert done.success
    assert candidates(driver) == []
    (observed,) = driver.instance.fetch_observations(key("tiny", "deployment", "one"), limit=1).records
    said = {name: value.value for name, value in observed.asset_observation.metadata.items()}
    assert (said["action"], said["percent"]) == ("roll_back", 0)
    assert said["reason"].startswith("ErrorRate")


def test_a_change_that_the_registry_lacks_gets_one_run(driver, rollout):
    """Who takes a version back by hand asks the endpoint alone: a run does the rest, and not one at each tick."""
    roll_back(driver.platform, ONE, "ada", "slow", driver.platform.clock.now(), registry_later=True)
    ((request,), _) = driver.tick("rollout")
    assert request.run_config == {"ops": {"take_step": {"config": {"rollout_id": rollout.rollout_id}}}}
    driver.run(ROLLOUT_JOB, request.tags, dg.DagsterRunStatus.FAILURE)
    assert driver.tick("rollout")[0] == []
    done = driver.execute(ROLLOUT_JOB, run_config=request.run_config, tags=dict(request.tags))
    assert done.success
    assert candidates(driver) == []
    assert driver.tick("rollout") == ([], "0 rollouts bake or are watched")


def test_a_change_is_finished_while_the_next_rollout_bakes(driver, rollout):
    """That one waits and wants no run of its own; what the registry lacks does."""
    with driver.platform.ledger.writing(ONE) as connection:
        connection.execute(update(tables.deployments).values(applied=1))
    ((request,), _) = driver.tick("rollout")
    assert request.run_config == {"ops": {"take_step": {"config": {"rollout_id": rollout.rollout_id}}}}


def test_a_change_of_a_model_that_is_no_more_is_finished_by_the_sensor(driver, rollout):
    """No run could take a step of it."""
    roll_back(driver.platform, ONE, "ada", "slow", driver.platform.clock.now(), registry_later=True)
    assert driver.without("one").tick("rollout")[0] == []
    assert deployments.unfinished(driver.platform.ledger, "tiny") == []


def test_a_rollout_that_cannot_be_judged_stops_no_other(driver, rollout):
    """A model that its team has dropped is told in the tick's message, and the rollouts of the others go on."""
    roll_out(driver, "two", "first of two")
    roll_out(driver, "two", "second of two")
    for model in ("one", "two"):
        ask(driver, model, 40)
    driver.later(1)
    both = driver.tick("rollout")[0]
    assert [request.tags[MODEL_TAG] for request in both] == ["tiny/one", "tiny/two"]
    without = driver.without("one")
    requests, _ = without.tick("rollout")
    assert [request.tags[MODEL_TAG] for request in requests] == ["tiny/two"]
    without.run(ROLLOUT_JOB, requests[0].tags, STARTED)
    assert "has no model 'one'" in without.tick("rollout")[1]


def test_files_are_landed_by_one_run_at_a_time(driver):
    """A file requests a run of everything made of its source; a second file waits for that run's end."""
    assert driver.tick("ingest") == ([], "nothing new has arrived")
    driver.deliver("1.csv", "Who,At\n1,2011-02-01\n")
    ((request,), _) = driver.tick("ingest")
    assert request.tags[SOURCE_TAG] == "tiny/events"
    stages = ["events_raw", "events_dead_letters", "seen_features"]
    assert [asset.to_user_string() for asset in request.asset_selection] == [f"tiny/{stage}" for stage in stages]

    driver.run(INGEST_JOB, request.tags, STARTED)
    driver.deliver("2.csv", "Who,At\n2,2011-02-02\n")
    assert driver.tick("ingest") == ([], "nothing new has arrived")


def test_a_file_that_has_landed_is_not_landed_again(driver):
    """What is in the lake requests nothing, and the next file does."""
    driver.deliver("1.csv", "Who,At\n1,2011-02-01\n")
    source = driver.team.source("events")
    assert landing.land(driver.platform, driver.team, source).rows == 1
    assert driver.tick("ingest") == ([], "nothing new has arrived")
    driver.deliver("2.csv", "Who,At\n2,2011-02-02\n")
    ((request,), _) = driver.tick("ingest")
    driver.run(INGEST_JOB, request.tags, SUCCESS)
    assert len(driver.tick("ingest")[0]) == 1


def test_a_schedule_lands_what_the_sensor_may_have_missed(driver):
    """A source that arrives daily has a daily schedule on the same job."""
    schedules = driver.definitions.get_repository_def().schedule_defs
    assert [s.cron_schedule for s in schedules if s.job_name == INGEST_JOB] == ["15 3 * * *"]


def test_a_full_window_is_looked_at_once(driver):
    """Nothing is watched before a model is live, nor before a window is full; then by one run at a time."""
    assert driver.tick("monitor") == ([], "no full window yet")
    roll_out(driver, "one", "first")
    ask(driver, "one", 19)
    assert driver.tick("monitor") == ([], "no full window yet")
    ask(driver, "one", 1)
    ((request,), _) = driver.tick("monitor")
    stages = ("predictions", "drift", "quality")
    assert [asset.to_user_string() for asset in request.asset_selection] == [f"tiny/one_{stage}" for stage in stages]
    driver.run(MONITOR_JOB, request.tags, STARTED)
    assert driver.tick("monitor")[0] == []


def test_each_night_the_quality_of_live_models_is_measured(driver) -> None:
    """Labels come also where nobody asks: one run for all models that went live, once a night."""
    repository = driver.definitions.get_repository_def()
    schedule = repository.get_schedule_def("loopline_quality_nightly")

    def tick(day: int):
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime(2011, 3, day, 5, 30, tzinfo=UTC),
            repository_def=repository,
            resources={"platform": driver.platform},
        )
        return schedule.evaluate_tick(context)

    assert tick(2).skip_message == "no model is live"
    roll_out(driver, "one", "first")
    (request,) = tick(3).run_requests
    assert (request.run_key, request.asset_selection) == ("2011-03-03", [key("tiny", "quality", "one")])


def test_a_quiet_look_at_files_asks_the_ledger_once(driver):
    """However many sources a team has: a question for each, every few seconds, is what idle teams would cost most."""
    sources = [Source(f"events_{number}", "events.yaml") for number in range(5)]
    views = tuple(FeatureView(f"seen_{one.name}", one, "who", "at", lambda rows: rows) for one in sources)
    team = replace(driver.team, models=tuple(replace(model, features=views) for model in driver.team.models))
    states = ingest_sensor.source_state.read(None, sorted(source.name for source in team.sources))
    context = dg.build_sensor_context(instance=driver.instance, definitions=driver.definitions)
    look = ingest_sensor._Look(context, driver.platform, team, states)
    with asked_of(driver.platform.ledger) as asked:
        assert look.all(known=True) == []
    assert look.problems == []
    assert len(asked) == 1


def test_a_quiet_look_at_endpoints_asks_the_ledger_once(driver):
    """Whether one model of the team is live or both."""
    counts = []
    for model in ("one", "two"):
        roll_out(driver, model, f"first of {model}")
        driver.tick("monitor")
        with asked_of(driver.platform.ledger) as asked:
            assert driver.tick("monitor") == ([], "no full window yet")
        counts.append(len(asked))
    assert counts == [1, 1]
