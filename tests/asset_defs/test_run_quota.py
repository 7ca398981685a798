"""A quota of runs: what sensors want waits where it comes from, what others submit fails with the message."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from pydantic import Field

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, INGEST_JOB, ROLLOUT_JOB
from loopline.asset_defs.runs.run_quota import used
from loopline.platform_core import alarms, turn
from loopline.platform_core.contracts import Compute
from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.quotas import trainings
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.training import training_set
from loopline.platform_core.training.training_set import TrainingSet
from loopline.platform_core.turn import Turn
from loopline.up import dagster_home
from tests.asset_defs.conftest import T0

STARTED, SUCCESS, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


class Computed(Compute):
    """Remembers what it was asked to run, and answers as a training does."""

    keys: list[str] = Field(default_factory=list)

    def run(self, task, args, requirements, key):
        """Say that version 1 is registered."""
        self.keys.append(key)
        return {"version": "1", "metrics": {}}


def allow(driver, runs):
    """Write the environment file with a quota of runs."""
    driver.platform.environment.path.write_text(f"bindings: {{}}\nquotas: {{runs: {runs}}}\n")


def bound(driver, **quotas):
    """Give the driver's platform other quotas."""
    object.__setattr__(driver.platform.environment, "quotas", Quotas(**quotas))
    driver.platform.__dict__.pop("storage", None)


def test_cycles_wait_in_the_ledger(driver):
    """As many runs are requested as there is room for; the others come when it is raised, none is lost or failed."""
    driver.run(INGEST_JOB, {}, STARTED)
    allow(driver, 2)
    first, second = driver.open_cycle("one", "by hand"), driver.open_cycle("two", "by hand")
    requests, _ = driver.tick("cycle")
    assert [request.tags[CYCLE_TAG] for request in requests] == [first]
    driver.run(CYCLE_JOB, {CYCLE_TAG: first}, STARTED)
    requests, said = driver.tick("cycle")
    assert requests == []
    assert "2 runs wait or are under way, of 2 that the environment may have" in said
    assert "whoever runs the environment raises quotas.runs" in said
    allow(driver, 3)
    ((request,), _) = driver.tick("cycle")
    assert (request.run_key, driver.state(second)[0]) == (f"{second}:1", "open")


def test_trainings_wait_for_their_cpus(driver):
    """The second one's cycle stays open, an alarm says for what it waits, and its run comes when the first is done."""
    models = tuple(replace(model, compute=Requirements(cpu=3)) for model in driver.team.models)
    driver = driver.of(replace(driver.team, models=models))
    bound(driver, cpus=4)
    first, second = driver.open_cycle("one", "by hand"), driver.open_cycle("two", "by hand")
    requests, _ = driver.tick("cycle")
    assert [request.tags[CYCLE_TAG] for request in requests] == [first]
    driver.run(CYCLE_JOB, {CYCLE_TAG: first}, STARTED)
    requests, said = driver.tick("cycle")
    assert (requests, "asks for 3 cpus, and 3 of 4 are claimed by 1 others" in said) == ([], True)
    (standing,) = alarms.standing(driver.platform.ledger, "waiting:")
    assert standing.alarm.subject == ModelRef("tiny", "two")

    driver.trained("one", first, 0.7)
    ((request,), _) = driver.tick("cycle")
    assert request.run_key == f"{second}:1"
    assert alarms.standing(driver.platform.ledger, "waiting:") == []
    assert list(trainings.held(driver.platform.ledger)) == [second]


def test_one_that_waits_keeps_no_other_from_the_last_run(driver):
    """What asks for more than there is waits by itself; the room of its run is the next cycle's."""
    first, second = driver.team.models[:2]
    driver = driver.of(replace(driver.team, models=(replace(first, compute=Requirements(gpu=3)), second)))
    allow(driver, 1)
    bound(driver, gpus=2)
    driver.open_cycle(first.name, "by hand")
    small = driver.open_cycle(second.name, "by hand")
    requests, _ = driver.tick("cycle")
    assert [request.tags[CYCLE_TAG] for request in requests] == [small]


def test_what_is_trained_waits_for_no_cpus(driver):
    """A run that died behind its training is run again, though others have every CPU: it only judges and deploys."""
    bound(driver, cpus=0.5)
    name = driver.open_cycle("one", "by hand")
    assert driver.tick("cycle")[0] == []
    driver.trained("one", name, 0.7)
    ((request,), _) = driver.tick("cycle")
    assert request.tags[CYCLE_TAG] == name
    assert (trainings.held(driver.platform.ledger), alarms.standing(driver.platform.ledger, "waiting:")) == ({}, [])


@pytest.mark.parametrize(
    ("quotas", "words"),
    [({"cpus": 0.5}, "asks for 1 cpus, and the quota is 0.5"), ({"storage_bytes": 0}, "no room for the version of")],
)
def test_a_training_by_hand_is_refused_before_it_begins(driver, quotas, words):
    """Nobody computes, nothing is claimed or registered; raised, it goes to whoever computes."""
    name = driver.open_cycle("one", "by hand")
    pinned = TrainingSet("pinned", "tiny", "one", T0, {}, "spec", "rows", 100, {"positives": 10})
    driver.platform.ledger.record(Entry(turn.PINNED, T0, "tiny", "one", name, details=training_set.to_json(pinned)))
    one = Turn(driver.platform, driver.team, driver.team.model("one"), cycles.cycle(driver.platform.ledger, name))
    bindings = driver.platform.environment.bindings
    computed = bindings["compute"] = Computed()
    driver.platform.environment.path.write_text("bindings: {}\n")
    bound(driver, **quotas)
    with pytest.raises(QuotaReached, match=words):
        turn.fit(one)
    assert (computed.keys, trainings.held(driver.platform.ledger)) == ([], {})
    bound(driver, cpus=1, storage_bytes=10**9)
    assert turn.fit(one)["version"] == "1"
    assert (computed.keys, trainings.held(driver.platform.ledger)) == ([name], {})


def test_one_that_waits_and_is_given_up(driver):
    """Its alarm goes with its cycle."""
    bound(driver, cpus=0.5)
    name = driver.open_cycle("one", "by hand")
    assert driver.tick("cycle")[0] == []
    assert len(alarms.standing(driver.platform.ledger, "waiting:")) == 1
    cycles.give_up(driver.platform.ledger, name, "alice", "too large", driver.platform.clock.now())
    driver.tick("cycle")
    assert alarms.standing(driver.platform.ledger, "waiting:") == []


def test_arrivals_wait_in_landing_while_storage_is_full(driver):
    """No run is requested that would fail; the same arrival is asked for once there is room."""
    driver.deliver("monday", "Who,At\n7,2011-02-28\n")
    bound(driver, storage_bytes=0)
    requests, said = driver.tick("ingest")
    assert (requests, "there is no room for what a run would write" in said) == ([], True)
    bound(driver, storage_bytes=10**9)
    ((request,), _) = driver.tick("ingest")
    assert request.asset_selection


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Open an instance whose queue is bounded, as ``loopline up`` writes it, once: to make its tables takes seconds."""
    home = tmp_path_factory.mktemp("queue")
    file = home / "environment.yaml"
    file.write_text("bindings: {}\nquotas: {runs: 2}\n")
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("LOOPLINE_ENVIRONMENT", str(file))
        variables.setenv("LOOPLINE_HOME", str(home))
        dagster_home.prepare(home / "dagster")
        instance = dg.DagsterInstance.from_config(str(home / "dagster"))
    with instance:
        yield instance, file


@pytest.fixture
def queue(opened, monkeypatch):
    """Give it with nothing in its queue, in which two have room."""
    instance, file = opened
    file.write_text("bindings: {}\nquotas: {runs: 2}\n")
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    monkeypatch.setenv("LOOPLINE_HOME", str(file.parent))
    yield instance, file
    instance.wipe()


def submit(instance, job=CYCLE_JOB):
    """Submit a run of a job, as web server and daemon do."""
    server = GrpcServerCodeLocationOrigin(host="localhost", port=1)
    origin = RemoteRepositoryOrigin(server, "any").get_job_origin(job)
    run = instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid4()), remote_job_origin=origin))
    return instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace=None))


def test_what_others_submit_fails_with_the_message(queue):
    """It never begins; rollouts' steps pass; raised, the next one goes through without a restart."""
    instance, file = queue
    assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == dagster_home.RUNS
    assert [submit(instance).status for _ in range(2)] == [dg.DagsterRunStatus.QUEUED] * 2
    refused = submit(instance)
    assert refused.status == FAILURE
    (told,) = instance.all_logs(refused.run_id)
    assert "2 runs wait or are under way, of 2" in told.user_message + str(told.dagster_event.message)
    assert submit(instance, ROLLOUT_JOB).status == dg.DagsterRunStatus.QUEUED
    assert used(instance) == 2
    file.write_text("bindings: {}\nquotas: {runs: 3}\n")
    assert submit(instance).status == dg.DagsterRunStatus.QUEUED
    assert submit(instance).status == FAILURE
    file.write_text("bindings: {}\n")
    assert submit(instance).status == dg.DagsterRunStatus.QUEUED


def test_submitted_while_the_file_is_wrong(queue):
    """The run fails with what is wrong, and does not stand for ever as not started; rollouts' steps pass."""
    instance, file = queue
    file.write_text("bindings: {}\nquotas: {runs: twenty}\n")
    refused = submit(instance)
    assert refused.status == FAILURE
    (told,) = instance.all_logs(refused.run_id)
    assert "'twenty' is no amount for quotas.runs" in told.user_message + str(told.dagster_event.message)
    assert submit(instance, ROLLOUT_JOB).status == dg.DagsterRunStatus.QUEUED


def test_submitted_at_once(queue):
    """Of six at the border two are queued."""
    instance, _ = queue
    found = []
    threads = [threading.Thread(target=lambda: found.append(submit(instance).status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status.value for status in found) == ["FAILURE"] * 4 + ["QUEUED"] * 2


def test_without_a_quota_the_queue_is_dagster_s(tmp_path, monkeypatch):
    """Its settings stand where they always stood."""
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", os.devnull)
    assert dagster_home.bounded(dagster_home.settings()) == dagster_home.settings()
    assert "run_queue" in dagster_home.settings()
