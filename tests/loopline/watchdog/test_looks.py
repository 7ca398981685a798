"""Each look finds what Dagster, the endpoints and the ledger show and do not say, and nothing else."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import httpx
import pytest
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus
from dagster._core.storage.runs.schema import RunsTable
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from sqlalchemy import update

from loopline.asset_defs import keys
from loopline.graphql import Dagster
from loopline.platform_core.alarms.pages import Pages
from loopline.platform_core.errors import StoreUnavailable
from loopline.up import lock
from loopline.up.answering import beating
from loopline.watchdog import run_looks
from loopline.watchdog.asset_looks import AssetLooks
from loopline.watchdog.dagster_health import DagsterHealth
from loopline.watchdog.look import Bounds, Looked
from loopline.watchdog.program_look import programs
from loopline.watchdog.run_looks import RunLooks

BOUNDS = Bounds()
TICKS = """
query ($repository: RepositorySelector!) {repositoryOrError(repositorySelector: $repository) {... on Repository {
  sensors {name jobOriginId sensorState {selectorId}} schedules {name scheduleState {id selectorId}}}}}"""


def looks(kind, garden, bounds=BOUNDS):
    """Make looks of a kind."""
    return kind(garden.dagster, Pages(garden.url), bounds)


def found(looked: Looked) -> dict[str, str]:
    """Return severity by cause."""
    assert len({alarm.cause for alarm in looked.alarms}) == len(looked.alarms)
    return {alarm.cause: alarm.severity for alarm in looked.alarms}


def instance_of(garden) -> dg.DagsterInstance:
    """Open Dagster's instance, to write what its daemon would."""
    return dg.DagsterInstance.from_config(str(garden.home))


def beat(garden, seconds_ago: float = 0) -> None:
    """Let every daemon have written a heartbeat."""
    with instance_of(garden) as instance:
        for one in garden.dagster.daemons():
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, one.name, "id", []))


GONE = SerializableErrorInfo("the bucket is gone", [], "OSError")
AWAY = SerializableErrorInfo("Unable to reach the user code server", [], "DagsterUserCodeUnreachableError")


def tick(garden, name: str, *marks: tuple[str, float], kind=InstigatorType.SENSOR, failure=GONE) -> None:
    """Let a sensor or a schedule have ticked, each with a status and so many seconds ago, oldest first."""
    which = {"repositoryName": "__repository__", "repositoryLocationName": "garden"}
    known = garden.dagster.ask(TICKS, repository=which)["repositoryOrError"]
    key = "sensorState" if kind is InstigatorType.SENSOR else "scheduleState"
    (one,) = [each for each in (*known["sensors"], *known["schedules"]) if each["name"] == name]
    origin = one.get("jobOriginId") or one[key]["id"].split(":")[0]
    with instance_of(garden) as instance:
        for status, seconds_ago in marks:
            error = failure if status == "FAILURE" else None
            moment = time.time() - seconds_ago
            written = TickData(origin, name, kind, TickStatus(status), moment, error=error, end_timestamp=moment,
                               selector_id=one[key]["selectorId"])  # fmt: skip
            instance.create_tick(written)


def test_a_web_server_that_does_not_answer_is_an_alarm(garden):
    """One that answers is none."""
    assert looks(DagsterHealth, garden).web() == Looked()
    gone = DagsterHealth(Dagster("http://127.0.0.1:9/graphql", timeout_seconds=1), Pages(""), BOUNDS)
    assert found(gone.web()) == {"web": "error"}
    assert gone.web().alarms[0].link == ""


def test_daemons_without_a_heartbeat_are_one_alarm(garden):
    """Dagster calls them well for half an hour; two minutes are enough for us."""
    beat(garden, seconds_ago=200)
    alarm = looks(DagsterHealth, garden).daemons().alarms[0]
    assert (alarm.cause, alarm.severity) == ("daemon", "error")
    assert "scheduler" in alarm.problem
    assert "sensor" in alarm.problem
    assert httpx.get(alarm.link).status_code == 200
    beat(garden)
    assert looks(DagsterHealth, garden).daemons() == Looked()


def test_a_daemon_that_died_minutes_ago_does_not_answer(garden):
    """An installation's test says so too, while Dagster still calls it well."""
    beat(garden, seconds_ago=200)
    assert all(one.healthy for one in garden.dagster.daemons())
    with pytest.raises(StoreUnavailable, match=r"no heartbeat of .*SENSOR"):
        beating(garden.dagster)
    beat(garden)
    beating(garden.dagster)


def test_a_team_that_does_not_load_is_named_with_its_reason(garden):
    """The others are not; of one whose server does not answer nobody knows whether it loads."""
    looked = looks(DagsterHealth, garden).locations()
    assert found(looked) == {"location:torn": "error", "code-server:absent": "error"}
    torn, absent = sorted(looked.alarms, key=lambda alarm: alarm.cause, reverse=True)
    assert "nothing_of_that_name" in torn.problem
    assert (torn.about, absent.about) == ("torn", "absent")
    assert absent.problem == "the code server of team absent does not answer"
    assert looked.unknown == {"location:absent"}


def test_of_a_location_that_loads_nothing_is_known_yet(garden):
    """An alarm of before is neither over nor raised again until Dagster has the answer."""

    class Loading(Dagster):
        def locations(self):
            return [replace(one, state="loading", reason="") for one in super().locations()]

    looked = replace(looks(DagsterHealth, garden), dagster=Loading(f"{garden.url}/graphql")).locations()
    assert found(looked) == {}
    assert all(looked.leaves(f"{cause}:absent") for cause in ("location", "code-server"))


def test_a_server_whose_pod_says_why_it_does_not_start_is_told_in_its_words(garden):
    """On a cluster the kubelet knows more than Dagster; while it starts a pod again it says nothing for a while."""
    told = replace(looks(DagsterHealth, garden), words={"absent": "ErrImageNeverPull"}.get).locations()
    assert found(told) == {"location:torn": "error", "location:absent": "error"}
    assert {one.problem for one in told.alarms} >= {"the pod of team absent does not start: ErrImageNeverPull"}
    meanwhile = replace(looks(DagsterHealth, garden), words=lambda _: "").locations()
    assert found(meanwhile) == found(told), "the cause stays the same"


def test_sensors_that_are_silent_or_fail_twice(garden):
    """One failure, a sensor that ticks, and one that nobody ever wanted are no alarm; nor is a schedule not yet due."""
    beat(garden)
    tick(garden, "silent", ("SKIPPED", 500))
    tick(garden, "failing", ("FAILURE", 20), ("FAILURE", 10))
    tick(garden, "hiccup", ("SKIPPED", 20), ("FAILURE", 10))
    tick(garden, "well", ("FAILURE", 20), ("SKIPPED", 10))
    looked = looks(DagsterHealth, garden).automation()
    assert found(looked) == {"sensor:garden/silent": "error", "sensor:garden/failing": "error"}
    said = {alarm.cause: alarm for alarm in looked.alarms}
    assert "has not ticked for 8 minutes" in said["sensor:garden/silent"].problem
    assert "the bucket is gone" in said["sensor:garden/failing"].problem
    assert "/sensors/failing" in said["sensor:garden/failing"].link
    tick(garden, "failing", ("SKIPPED", 1))
    tick(garden, "silent", ("SKIPPED", 1))
    assert found(looks(DagsterHealth, garden).automation()) == {}


def test_a_code_server_that_starts_again_fails_ticks_and_is_no_alarm(garden):
    """Its location would say so if it stayed away; only a sensor that has not ticked well for long is silent."""
    beat(garden)
    for name in ("silent", "failing", "hiccup", "well"):
        tick(garden, name, ("SKIPPED", 0))
    tick(garden, "lonely", ("SKIPPED", 100), ("FAILURE", 20), ("FAILURE", 10), ("FAILURE", 5), failure=AWAY)
    assert found(looks(DagsterHealth, garden).automation()) == {}
    strict = replace(BOUNDS, silence=0)
    assert found(looks(DagsterHealth, garden, strict).automation()) == {"sensor:garden/lonely": "error"}
    tick(garden, "lonely", ("SKIPPED", 0))


def test_a_schedule_that_missed_its_time(garden):
    """It ticked once, and not at the times that came after."""
    beat(garden)
    for name in ("silent", "failing", "hiccup", "well"):
        tick(garden, name, ("SKIPPED", 0))
    tick(garden, "every_twenty", ("SKIPPED", 7200), kind=InstigatorType.SCHEDULE)
    assert found(looks(DagsterHealth, garden).automation()) == {"schedule:garden/every_twenty": "error"}
    tick(garden, "every_twenty", ("SKIPPED", 0), kind=InstigatorType.SCHEDULE)
    assert found(looks(DagsterHealth, garden).automation()) == {}


def test_a_dead_daemon_is_why_sensors_are_silent(garden):
    """So they are no alarms of their own, and those that stand are left as they are; so it is with a torn team."""
    beat(garden, seconds_ago=1000)
    looked = looks(DagsterHealth, garden).automation()
    assert looked.alarms == ()
    assert looked.leaves("sensor:garden/silent")
    beat(garden)
    looked = looks(DagsterHealth, garden).automation()
    assert looked.leaves("sensor:torn/any")
    assert not looked.leaves("sensor:garden/silent")


def test_failed_checks_that_hold_nothing_up(garden):
    """With their reason and severity; a gate holds up its run; drift and contracts are raised where they are judged."""
    looked = looks(AssetLooks, garden).look()
    said = {alarm.cause: alarm for alarm in looked.alarms if alarm.cause.startswith("check:")}
    assert {cause: alarm.severity for cause, alarm in said.items()} == {
        "check:garden/raw/orders:volume": "warning",
        "check:garden/raw/orders:ranges": "warning",
        "check:garden/raw/orders:bare": "warning",
        "check:garden/drift/roses:fairness": "error",
    }
    assert "3 rows where 900 are usual" in said["check:garden/raw/orders:volume"].problem
    assert "loopline quality garden/orders" in said["check:garden/raw/orders:volume"].fix
    assert said["check:garden/raw/orders:bare"].problem.endswith("it gives no reason")
    assert "could not be evaluated" in said["check:garden/raw/orders:ranges"].problem
    assert "DE 0.4 below FR" in said["check:garden/drift/roses:fairness"].problem
    assert said["check:garden/drift/roses:fairness"].about == "garden/roses"
    assert said["check:garden/raw/orders:volume"].about == "garden"
    assert "/assets/garden/orders_raw?view=checks" in said["check:garden/raw/orders:volume"].link


def test_drift_that_lags_behind_its_predictions(garden):
    """Predictions were made again and drift was not; within the bound that is nothing."""
    strict = looks(AssetLooks, garden, replace(BOUNDS, stale=0)).look()
    assert "stale:garden/roses" in [alarm.cause for alarm in strict.alarms]
    assert not [a for a in looks(AssetLooks, garden).look().alarms if a.cause.startswith("stale:")]


def test_predictions_of_a_new_model_wait_from_when_they_came(garden):
    """Never judged is not judged in 1970: they were called 29,929,035 minutes late as soon as they came."""
    strict = looks(AssetLooks, garden, replace(BOUNDS, stale=0)).look()
    stale = {alarm.cause: alarm.problem for alarm in strict.alarms if alarm.cause.startswith("stale:garden/tulips")}
    assert stale == {
        "stale:garden/tulips": "drift was never judged, and predictions have waited for 0 minutes",
        "stale:garden/tulips:quality": "quality was never judged, and predictions have waited for 0 minutes",
    }


def test_runs_that_hang_or_fail_twice(garden):
    """What fails again and again is one alarm, not one a run; what waits or works for long is named by its run."""
    looked = looks(RunLooks, garden).look()
    assert found(looked) == {"run:fails:doomed garden/roses": "error"}
    assert looked.alarms[0].about == "garden/roses"
    assert httpx.get(looked.alarms[0].link).status_code == 200
    hanging = looks(RunLooks, garden, replace(BOUNDS, queued=0, run=0)).look().alarms
    said = sorted(alarm.problem.split(" for ")[0] for alarm in hanging if alarm.cause.startswith("run:hangs:"))
    assert said == ["a run of doomed garden/orders is not_started", "a run of doomed garden/roses is started"]
    only = looks(RunLooks, garden, replace(BOUNDS, run=0)).look().alarms
    assert len([alarm for alarm in only if alarm.cause.startswith("run:hangs:")]) == 1


@contextmanager
def more_runs(garden, *marks: tuple[str, str], hours_ago: float = 0) -> Iterator[list[str]]:
    """Let there be more runs of ``doomed`` for a while, each of a model and in a status, the oldest first."""
    doomed = dg.GraphDefinition(name="doomed", node_defs=[dg.OpDefinition(lambda: None, name="fails")]).to_job()
    with instance_of(garden) as instance:
        runs = [_run(instance, doomed, model, status, hours_ago) for model, status in marks]
        yield runs
        for run_id in runs:
            instance.delete_run(run_id)


def _run(instance: dg.DagsterInstance, job: dg.JobDefinition, model: str, status: str, hours_ago: float) -> str:
    tags = {keys.MODEL_TAG: f"garden/{model}"} if model else {}
    run_id = instance.create_run_for_job(job, status=status, tags=tags).run_id
    began = time.time() - hours_ago * 3600
    times = {"create_timestamp": datetime.fromtimestamp(began, UTC).replace(tzinfo=None)}
    times |= {"start_time": began} if status == "STARTED" else {}
    with instance.run_storage.connect() as connection:
        connection.execute(update(RunsTable).where(RunsTable.c.run_id == run_id).values(times))
    return run_id


@pytest.fixture
def few(monkeypatch):
    """Let an answer hold two runs."""
    monkeypatch.setattr(run_looks, "AT_ONCE", 2)


def test_a_run_that_hangs_is_found_behind_many_younger_ones(garden, few):
    """However many wait, what works for five hours is no less in the way; of what waits, only the old is wrong."""
    with (
        more_runs(garden, ("old", "STARTED"), ("late", "NOT_STARTED"), hours_ago=5) as old,
        more_runs(garden, *[(f"m{number}", "NOT_STARTED") for number in range(3)]),
    ):
        looked = looks(RunLooks, garden).look()
    hanging = {alarm.cause for alarm in looked.alarms if alarm.cause.startswith("run:hangs:")}
    assert hanging == {f"run:hangs:{run_id}" for run_id in old}


def test_what_fails_twice_is_found_behind_many_that_do_well(garden, few):
    """A thousand models run each hour: of no model are there two runs among the newest; who is well again is not."""
    with (
        more_runs(garden, ("a", "FAILURE"), ("b", "FAILURE"), ("c", "FAILURE"), hours_ago=2),
        more_runs(garden, ("a", "FAILURE"), ("b", "FAILURE"), ("c", "SUCCESS"), hours_ago=1),
        more_runs(garden, ("b", "SUCCESS"), ("c", "FAILURE"), *[(f"m{number}", "SUCCESS") for number in range(3)]),
    ):
        looked = looks(RunLooks, garden).look()
    assert set(found(looked)) == {"run:fails:doomed garden/a", "run:fails:doomed garden/roses"}
    assert not looked.leaves("run:fails:doomed garden/b")


def test_everything_fails_in_turn(garden, few):
    """Then no two failures of one model are in an answer; they are found all the same."""
    models = [(f"m{number}", "FAILURE") for number in range(3)]
    with more_runs(garden, *models, *models):
        looked = looks(RunLooks, garden).look()
    assert {f"run:fails:doomed garden/{model}" for model, _ in models} <= set(found(looked))


def test_of_very_many_that_fail_some_are_asked_in_turn(garden, monkeypatch):
    """Whoever is not asked this time stays as it is; a look takes no minute."""
    models = [(f"m{number}", "FAILURE") for number in range(3)]
    monkeypatch.setattr(run_looks, "MOST_SUBJECTS", 2)
    with more_runs(garden, *models, *models):
        looked = looks(RunLooks, garden).look()
    causes = {"run:fails:doomed garden/roses", *(f"run:fails:doomed garden/{model}" for model, _ in models)}
    assert len(found(looked)) == 2
    assert looked.unknown == causes - set(found(looked))


def test_what_stands_stays_when_not_all_can_be_read(garden, few, monkeypatch):
    """A list that is cut may hold it; one that is not ends it."""
    jam, failures = [(f"m{number}", "NOT_STARTED") for number in range(3)], [("a", "FAILURE")] * 3
    with more_runs(garden, *jam, hours_ago=1), more_runs(garden, *failures):
        everything = looks(RunLooks, garden).look()
        monkeypatch.setattr(run_looks, "AT_MOST", 2)
        some = looks(RunLooks, garden).look()
    for cause in ("run:hangs:any", "run:fails:any"):
        assert not everything.leaves(cause)
        assert some.leaves(cause)


def test_a_job_of_no_model_that_fails_twice(garden, monkeypatch):
    """Its runs are found among those of models; where those are too many, it stays as it is."""
    with more_runs(garden, ("", "FAILURE"), ("", "FAILURE"), ("m", "SUCCESS"), ("n", "SUCCESS")):
        assert "run:fails:doomed" in found(looks(RunLooks, garden).look())
        monkeypatch.setattr(run_looks, "AT_ONCE", 2)
        looked = looks(RunLooks, garden).look()
    assert "run:fails:doomed" not in found(looked)
    assert looked.leaves("run:fails:doomed")


@pytest.mark.parametrize("name", ["MODEL_TAG", "SOURCE_TAG", "WORK_TAG", "CYCLE_JOB"])
def test_names_are_those_of_the_runs(name):
    """The watchdog does not import what imports Dagster, so it has these names twice."""
    assert getattr(run_looks, name) == getattr(keys, name)


def test_programs_that_died_for_good(tmp_path):
    """One that runs is none, nor is what is missed otherwise; without ``up`` there is nothing to miss."""
    assert programs(tmp_path) == Looked()
    gone = subprocess.Popen(("true",))
    gone.wait()
    pids = {"features": gone.pid, "portal": os.getpid(), "daemon": gone.pid, "code:garden": gone.pid}
    with lock.only_one(tmp_path):
        lock.announce(tmp_path, {"pids": pids})
        assert found(programs(tmp_path)) == {"program:features": "error"}


def test_a_schedule_that_was_started_just_now_missed_nothing(garden):
    """It was stopped for days; what was planned meanwhile is not missed."""
    beat(garden)
    tick(garden, "every_twenty", ("SKIPPED", 7200), kind=InstigatorType.SCHEDULE)
    which = {"repositoryName": "__repository__", "repositoryLocationName": "garden"}
    (known,) = garden.dagster.ask(TICKS, repository=which)["repositoryOrError"]["schedules"]
    stop = "mutation ($id: String!) {stopRunningSchedule(id: $id) {__typename}}"
    start = "mutation ($which: ScheduleSelector!) {startSchedule(scheduleSelector: $which) {__typename}}"
    done = [
        garden.dagster.ask(stop, id=known["scheduleState"]["id"])["stopRunningSchedule"],
        garden.dagster.ask(start, which=which | {"scheduleName": "every_twenty"})["startSchedule"],
    ]
    assert done == [{"__typename": "ScheduleStateResult"}] * 2
    assert not [a for a in looks(DagsterHealth, garden).automation().alarms if a.cause.startswith("schedule:")]
