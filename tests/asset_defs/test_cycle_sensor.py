"""The sensor that turns the loop: an alarm opens one cycle, and an open cycle gets its run until it has a verdict."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from loopline.asset_defs.keys import CAUSE_TAG, CYCLE_JOB, CYCLE_TAG, MODEL_TAG
from loopline.platform_core import alarms, turn
from loopline.platform_core.alarms import Alarm
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sentences import sentence
from loopline.platform_core.turn import start_rollout

ONE = ModelRef("tiny", "one")
FAILURE, STARTED, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS


def names(driver) -> list[str]:
    """List the cycles of the model."""
    return [cycle.cycle_id for cycle in cycles.cycles(driver.platform.ledger, ONE)]


def test_an_alarm_opens_a_cycle_and_requests_its_run(driver):
    """The run has the cycle's id as key and tag, the alarm as cause, and only that model's three assets."""
    driver.check_drift("one", alarm="3 of 9 columns drifted at once")
    ((request,), _) = driver.tick("cycle")
    (cycle,) = names(driver)
    assert request.run_key == f"{cycle}:1"
    assert [key.to_user_string() for key in request.asset_selection] == [
        "tiny/one_training_set",
        "tiny/one_model",
        "tiny/one_deployment",
    ]
    wanted = {CYCLE_TAG: cycle, MODEL_TAG: "tiny/one", CAUSE_TAG: "drift: 3 of 9 columns drifted at once"}
    assert wanted.items() <= request.tags.items()


def test_one_alarm_is_one_cycle_however_often_it_is_read(driver):
    """The same record read again, even by a sensor that has lost its cursor, opens nothing, even when all is over."""
    driver.check_drift("one", alarm="moved")
    driver.tick("cycle")
    driver.tick("cycle")
    driver.cursors.clear()
    driver.tick("cycle")
    assert len(names(driver)) == 1
    cycles.close_cycle(driver.platform.ledger, names(driver)[0], "promoted", "good", driver.later(100))
    driver.cursors.clear()
    requests, said = driver.tick("cycle")
    assert (len(names(driver)), requests, said) == (1, [], "no cycle waits for a run")


def test_a_quiet_check_opens_nothing(driver):
    """A check that passed is no alarm; without any check there is nothing to do either."""
    assert driver.tick("cycle") == ([], "no cycle waits for a run")
    driver.check_drift("one")
    assert driver.tick("cycle") == ([], "no cycle waits for a run")
    assert names(driver) == []


def test_two_models_turn_beside_each_other(driver):
    """One tick reads the checks of all models and requests a run for each that needs one."""
    driver.check_drift("one", alarm="moved")
    driver.check_drift("two", alarm="moved too")
    requests, _ = driver.tick("cycle")
    assert [request.tags[MODEL_TAG] for request in requests] == ["tiny/one", "tiny/two"]


def test_why_an_alarm_is_refused_is_told(driver):
    """Frozen, cooling down: the reason is the tick's message, told once, and a later alarm is heard again."""
    now = driver.platform.clock.now()
    freezes.freeze(driver.platform.ledger, ONE, "alice", "stocktaking", now)
    driver.check_drift("one", alarm="moved")
    requests, said = driver.tick("cycle")
    assert requests == []
    assert "frozen" in said
    assert "alice" in said
    assert driver.tick("cycle") == ([], "no cycle waits for a run")

    freezes.thaw(driver.platform.ledger, ONE, "alice", "counted", now)
    driver.check_drift("one", alarm="moved on")
    assert len(driver.tick("cycle")[0]) == 1
    cycles.close_cycle(driver.platform.ledger, names(driver)[0], "promoted", "good", driver.later(1))
    driver.check_drift("one", alarm="moved on")
    assert "cools down" in driver.tick("cycle")[1]
    driver.later(24)
    driver.check_drift("one", alarm="moved on")
    assert len(driver.tick("cycle")[0]) == 1


def test_a_run_that_never_came_is_requested_again(driver):
    """Until there is a run the same key is requested, so that Dagster starts it once, whoever was killed."""
    cycle = driver.open_cycle("one", "by hand")
    keys = [driver.tick("cycle")[0][0].run_key for _ in range(3)]
    assert keys == [f"{cycle}:1"] * 3


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, STARTED])
def test_a_run_that_is_under_way_is_enough(driver, status):
    """While it runs no other is requested, also when a person's look at one step has ended behind it."""
    cycle = driver.open_cycle("one", "by hand")
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, status)
    assert driver.tick("cycle")[0] == []
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, SUCCESS)
    assert driver.tick("cycle")[0] == []
    assert driver.state(cycle)[0] == "open"


def test_a_run_that_started_the_rollout_is_enough(driver):
    """The turn is done; the rollout closes the cycle, whatever runs with its tags succeed or fail meanwhile."""
    now, model = driver.platform.clock.now(), driver.team.model("one")
    first = driver.open_cycle("one", "first")
    start_rollout(driver.platform, ONE, model, driver.judged("one", first), first, now)
    cycle = driver.open_cycle("one", "second")
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, SUCCESS)
    assert start_rollout(driver.platform, ONE, model, driver.judged("one", cycle), cycle, now).state == "running"
    for status in (SUCCESS, FAILURE):
        driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, status)
        assert driver.tick("cycle")[0] == []
        assert driver.state(cycle)[0] == "open"


def test_one_step_that_a_person_ran_again_is_not_the_turn(driver):
    """Dagster copies a run's tags to what is re-executed of it: its success requests the next attempt."""
    driver.check_drift("one", alarm="it drifted")
    ((request,), _) = driver.tick("cycle")
    cycle = request.tags[CYCLE_TAG]
    driver.run(CYCLE_JOB, request.tags, FAILURE)
    for attempt in (3, 4, 5):  # however often: only what failed counts as an attempt that failed
        driver.run(CYCLE_JOB, request.tags, SUCCESS)
        assert [r.run_key for r in driver.tick("cycle")[0]] == [f"{cycle}:{attempt}"]
    for _ in range(2):
        driver.run(CYCLE_JOB, request.tags, FAILURE)
    assert driver.tick("cycle")[0] == []
    assert driver.state(cycle) == ("failed", "its run failed 3 times")
    driver.later(100)
    driver.check_drift("one", alarm="it drifted again")
    assert len(driver.tick("cycle")[0]) == 1


def test_a_run_that_died_is_tried_twice_more(driver):
    """Attempts two and three have keys of their own; after the third the cycle has failed, and says so."""
    cycle = driver.open_cycle("one", "by hand")
    for attempt in (2, 3):
        driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, FAILURE)
        assert [r.run_key for r in driver.tick("cycle")[0]] == [f"{cycle}:{attempt}"]
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, FAILURE)
    assert driver.tick("cycle")[0] == []
    assert driver.state(cycle) == ("failed", "its run failed 3 times")
    assert driver.tick("cycle") == ([], "no cycle waits for a run")


def test_a_run_that_a_person_cancelled_is_not_started_again(driver):
    """Who cancels a run means it: the cycle ends at its first run, and says why."""
    cycle = driver.open_cycle("one", "by hand")
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, dg.DagsterRunStatus.CANCELED)
    assert driver.tick("cycle")[0] == []
    assert driver.state(cycle) == ("failed", "its run was cancelled in Dagster")


def test_failed_gates_reject_at_once(driver):
    """A run that its gates ended is not tried again: the same rows would give the same verdict."""
    cycle = driver.open_cycle("one", "by hand")
    driver.judged("one", cycle, passed=False)
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, FAILURE)
    assert driver.tick("cycle")[0] == []
    assert driver.state(cycle) == ("rejected", "gates not passed: AtLeast(roc_auc)")


def test_a_run_that_died_after_its_gates_passed_is_tried_again(driver):
    """Its version is there: the next attempt finds it and goes on to the deployment."""
    cycle = driver.open_cycle("one", "by hand")
    driver.judged("one", cycle)
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, FAILURE)
    assert [r.run_key for r in driver.tick("cycle")[0]] == [f"{cycle}:2"]


def test_a_refusal_is_a_verdict_and_no_failure(driver):
    """The run succeeds, its check does not pass, nothing is deployed, and the cycle is rejected before a sensor looks.

    Neither the turn run again nor its deployment alone gets the version in.
    """
    cycle = driver.open_cycle("one", "by hand")
    driver.trained("one", cycle, roc_auc=0.55)
    selection = driver.tick("cycle")[0][0].asset_selection
    for chosen in (selection, selection, selection[-1:]):
        done = driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=chosen)
        assert done.success
        made = [event.asset_key.path[-1] for event in done.get_asset_materialization_events()]
        assert made == ["one_training_set", "one_model"][: len(chosen) - 1]
        assert [check.passed for check in done.get_asset_check_evaluations()] == [False] * (len(chosen) > 1)
        assert driver.state(cycle) == ("rejected", "gates not passed: AtLeast(roc_auc)")
    assert deployment(driver.platform.ledger, ONE) is None
    assert driver.tick("cycle") == ([], "no cycle waits for a run")
    assert len(driver.platform.ledger.entries(ONE, [gates.JUDGED])) == 1


def test_the_check_has_judged_before_the_deployment_begins(driver):
    """Nothing in Dagster holds the deployment back but its order: what it reads is what the check has said."""
    cycle = driver.open_cycle("one", "by hand")
    driver.trained("one", cycle, roc_auc=0.9)
    turn = {"tags": {CYCLE_TAG: cycle}, "asset_selection": driver.tick("cycle")[0][0].asset_selection}
    began = [e.step_key for e in driver.execute(CYCLE_JOB, **turn).all_events if e.is_step_start]
    assert [name.rsplit("__", 1)[-1] for name in began[-2:]] == ["one_model_gates", "one_deployment"]


def test_an_override_lets_the_cycle_go_on(driver):
    """A person overrides the failed gate and runs the cycle again: its check passes now, and the version goes live."""
    cycle = driver.open_cycle("one", "by hand")
    version = driver.trained("one", cycle, roc_auc=0.55)
    turn = {"tags": {CYCLE_TAG: cycle}, "asset_selection": driver.tick("cycle")[0][0].asset_selection}
    assert driver.execute(CYCLE_JOB, **turn).success
    assert driver.state(cycle)[0] == "rejected"
    now = driver.platform.clock.now()
    gates.override(driver.platform.ledger, ONE, version, "AtLeast(roc_auc)", "alice", "a holiday", now)
    again = driver.execute(CYCLE_JOB, **turn)
    assert again.success
    (check,) = again.get_asset_check_evaluations()
    assert check.passed
    assert driver.state(cycle)[0] == "promoted"
    assert driver.tick("cycle") == ([], "no cycle waits for a run")


BAD = Alarm("refused:tiny/events", "error", "a.csv is refused", "look", ModelRef("tiny", ""))


def test_a_cycle_whose_data_is_bad_is_held(driver):
    """It trained and rolled out, and its story did not say so: now it waits, is told, and goes on when all is well."""
    alarms.raise_alarm(driver.platform, BAD)
    driver.check_drift("one", alarm="moved")
    for _ in range(3):
        requests, said = driver.tick("cycle")
        assert requests == []
    assert "is held: events: a.csv is refused" in said
    (held,) = alarms.standing(driver.platform.ledger, "held:tiny/one")
    assert "loopline cycle proceed" in held.alarm.fix
    (entry,) = driver.platform.ledger.entries(ONE, ["cycle.doubted"])
    assert sentence(entry) == "held by its data: events: a.csv is refused"
    alarms.clear(driver.platform, BAD.cause)
    (request,), _ = driver.tick("cycle")
    assert request.tags[CYCLE_TAG] == names(driver)[0]
    assert alarms.standing(driver.platform.ledger, "held:") == []
    last = driver.platform.ledger.entries(ONE, ["cycle.doubted"])[-1]
    assert sentence(last) == "data looked at: every check of its sources passes"


def test_a_person_lets_a_held_cycle_go_on(driver):
    """By name and with a reason, which the story tells; what is odd stays in it."""
    alarms.raise_alarm(driver.platform, BAD)
    driver.check_drift("one", alarm="moved")
    assert driver.tick("cycle")[0] == []
    (name,) = names(driver)
    turn.go_on(driver.platform, cycles.cycle(driver.platform.ledger, name), "ada", "only a test file")
    (request,), _ = driver.tick("cycle")
    assert request.tags[CYCLE_TAG] == name
    kinds = [e.kind for e in driver.platform.ledger.entries(ONE) if e.cycle == name]
    assert kinds == ["cycle.opened", "cycle.doubted", "cycle.went_on"]


def test_a_model_that_only_wants_to_be_warned_goes_on(driver):
    """Its story says what is odd."""
    alarms.raise_alarm(driver.platform, BAD)
    cycle = driver.open_cycle("one", "c")
    model = replace(driver.team.model("one"), source_checks="warn")
    record = cycles.cycle(driver.platform.ledger, cycle)
    assert turn.held_by(driver.platform, driver.team, model, record) == []
    (entry,) = driver.platform.ledger.entries(ONE, ["cycle.doubted"])
    assert sentence(entry).startswith("goes on, though its data is odd: events: a.csv")


def test_a_cycle_that_a_person_ended_deploys_nothing(driver):
    """Its run may be on its way; another cycle may open at once, and what held it is no alarm any more."""
    alarms.raise_alarm(driver.platform, BAD)
    cycle = driver.open_cycle("one", "c")
    driver.tick("cycle")
    ended = cycles.give_up(driver.platform.ledger, cycle, "ada", "the wrong day", driver.later(0))
    assert (ended.state, ended.verdict) == ("failed", "closed by ada: the wrong day")
    driver.tick("cycle")
    assert alarms.standing(driver.platform.ledger, "held:") == []
    version = driver.trained("one", cycle, 0.9)
    gates.record_verdict(driver.platform.ledger, ONE, cycle, version, gates.Verdict(()), driver.later(0))
    entry = Entry(REGISTERED, driver.later(0), *ONE, cycle, version, details={"version": version})
    driver.platform.ledger.record(entry)
    late = turn.Turn(driver.platform, driver.team, driver.team.model("one"), ended)
    with pytest.raises(Refused, match="is over: closed by ada: the wrong day"):
        turn.deploy(late)
    with pytest.raises(Refused, match="is closed already: failed"):
        cycles.give_up(driver.platform.ledger, cycle, "ada", "again", driver.later(0))
    assert driver.open_cycle("one", "next") != cycle
