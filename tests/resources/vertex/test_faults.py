"""What goes wrong on Vertex AI, by a strict fake: what is waited out, what is told, and that nothing runs twice."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.request import Request, urlopen

import pytest

from loopline.platform_core.errors import (
    InvalidEnvironment,
    Overloaded,
    Refused,
    StoreUnavailable,
    TaskFailed,
    Transient,
)
from loopline.platform_core.testing.compute import ECHO, ENDLESS, SLOW, SMALL, TALK, calls
from loopline.resources.managed_jobs import deadline, retries
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.vertex import claims, link
from tests.resources.sagemaker.test_compute import KILLED_ONCE, until


@pytest.fixture
def soon(monkeypatch):
    """Ask again, and tell what is in the way, after a fifth of a second."""
    monkeypatch.setattr(deadline, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.2)


def echo(compute, folder, key):
    """Run a task that notes its call, and return what it says."""
    return compute.run(ECHO, {"folder": str(folder), "value": 1}, SMALL, key)


def test_lost_answer_to_the_creation_makes_no_second_job(bound, vertex, tmp_path, soon):
    """The service takes any name twice: the job that was made is found by its label, and asked for once."""
    vertex.fail("CreateCustomJob", lost=True)
    before = len(vertex.asked("CreateCustomJob"))
    assert echo(bound(), tmp_path, "lost")["value"] == 1
    assert (calls(tmp_path), len(vertex.asked("CreateCustomJob")) - before) == (1, 1)


def test_slow_answer_to_the_creation_makes_no_second_job(bound, vertex, tmp_path, soon, monkeypatch):
    """The call is given up before its answer comes; the job is there."""
    monkeypatch.setattr(link, "CALL_SECONDS", 0.5)
    vertex.fail("CreateCustomJob", late=2)
    before = len(vertex.asked("CreateCustomJob"))
    assert echo(bound(api_patience_seconds=60), tmp_path, "late")["value"] == 1
    assert (calls(tmp_path), len(vertex.asked("CreateCustomJob")) - before) == (1, 1)


def test_caller_who_died_between_job_and_note_is_followed(bound, vertex, tmp_path, soon):
    """The job was made and its number never written down: another caller finds it by its label."""
    first = bound()
    echo(first, tmp_path, "unnoted")
    name = f"{first.store.rpartition('/')[2]}/{job_name(first.name_prefix, 'unnoted', 1, 63)}/claim.json"
    put = f"{vertex.gcs.json_url}/upload/storage/v1/b/loopline/o?uploadType=media&name={name}"
    urlopen(Request(put, json.dumps({"holder": "dead", "job": ""}).encode(), method="POST")).close()
    assert echo(bound(), tmp_path, "unnoted") == {"value": 1, "before": 0}
    assert calls(tmp_path) == 1


def test_claim_of_a_caller_who_died_before_the_job_is_taken_over(bound, vertex, tmp_path, monkeypatch):
    """Once it has not changed for its time."""
    monkeypatch.setattr(claims, "STALE_SECONDS", 0.5)
    compute = bound()
    name = f"{compute.store.rpartition('/')[2]}/{job_name(compute.name_prefix, 'stale', 1, 63)}/claim.json"
    put = f"{vertex.gcs.json_url}/upload/storage/v1/b/loopline/o?uploadType=media&name={name}"
    urlopen(Request(put, json.dumps({"holder": "dead", "job": ""}).encode(), method="POST")).close()
    assert echo(compute, tmp_path, "stale")["value"] == 1


def test_throttling_and_server_errors_are_waited_out(bound, vertex, tmp_path, soon):
    """The task runs once."""
    slower = "Quota exceeded for quota metric 'Job requests' per minute"
    vertex.fail("CreateCustomJob", status=429, code="RESOURCE_EXHAUSTED", message=slower, times=3)
    vertex.fail("GetCustomJob", status=503, code="UNAVAILABLE", times=2)
    assert echo(bound(api_patience_seconds=60), tmp_path, "throttled")["value"] == 1
    assert calls(tmp_path) == 1


def test_quota_is_told_and_waited_for(bound, vertex, tmp_path, soon, capfd):
    """In the service's own words; when there is room again the task runs."""
    vertex.fail("CreateCustomJob", status=429, code="RESOURCE_EXHAUSTED", message="custom_model_training_cpus", times=9)
    assert echo(bound(), tmp_path, "quota")["value"] == 1
    assert "waits: custom_model_training_cpus" in capfd.readouterr().err


def test_quota_fails_where_nobody_shall_wait(bound, vertex, tmp_path, soon):
    """It is worth another try later, and nothing ran."""
    vertex.fail("CreateCustomJob", status=429, code="RESOURCE_EXHAUSTED", message="no cores are left", times=50)
    with pytest.raises(Overloaded, match="no cores are left"):
        echo(bound(waiting="fail"), tmp_path, "quota")
    assert calls(tmp_path) == 0


def test_pending_job_is_given_up_after_its_time(bound, vertex, tmp_path, soon):
    """And ended, so that it is not billed."""
    vertex.fail("job", pending=60)
    before = len(vertex.asked("CancelCustomJob"))
    with pytest.raises(Overloaded, match="Pending"):
        echo(bound(patience_minutes=0.02), tmp_path, "pending")
    assert len(vertex.asked("CancelCustomJob")) == before + 1
    assert calls(tmp_path) == 0


REASONS = [
    (8, "Resources are insufficient in region: europe-west4.", Overloaded),
    (13, "Internal error encountered.", Transient),
    (3, "Unable to pull the image: it is not there", InvalidEnvironment),
    (3, "The replica workerpool0-0 ran out-of-memory", TaskFailed),
    (3, "The replica workerpool0-0 exited with a non-zero status of 1.", TaskFailed),
]


def test_failures_are_told_as_what_they_are_and_the_key_runs_anew(bound, vertex, tmp_path):
    """What the service says, with whether another try helps; then another job of the key answers."""
    compute = bound()
    for code, reason, error in REASONS:
        vertex.fail("job", reason=reason, rpc_code=code)
        with pytest.raises(error) as told:
            echo(compute, tmp_path, "fails")
        assert type(told.value) is error
        assert reason.rstrip(".") in str(told.value)
    assert echo(compute, tmp_path, "fails") == {"value": 1, "before": 0}


def test_killed_container_is_transient_and_runs_anew(bound, tmp_path):
    """Nobody knows whether memory was short: the error says what to do if it happens again."""
    compute = bound()
    with pytest.raises(Transient, match=r"was killed .*137.* raise memory_gb"):
        compute.run(KILLED_ONCE, {"folder": str(tmp_path)}, SMALL, "killed")
    assert compute.run(KILLED_ONCE, {"folder": str(tmp_path)}, SMALL, "killed") == "alive"


def test_image_without_loopline_is_told_so(bound):
    """The command is not there: what the environment calls Python is looked at."""
    with pytest.raises(TaskFailed, match=r"127.*the path that 'python' names"):
        bound(python="/opt/no/python").run("os:getpid", {}, SMALL, "no-image")


def test_machine_that_is_taken_back_begins_again_by_itself(bound, vertex, tmp_path):
    """Nobody is told of it, and the caller gets the answer."""
    vertex.fail("job", interrupt_after=0.0)
    assert bound(spot=True).run(SLOW, {"folder": str(tmp_path), "value": 1}, SMALL, "spot")["value"] == 1
    assert vertex.asked("CreateCustomJob")[-1]["body"]["jobSpec"]["scheduling"]["strategy"] in {"SPOT", 4}


def test_task_that_takes_too_long_is_ended(bound, tmp_path):
    """Another try would take as long."""
    with pytest.raises(TaskFailed, match="raise max_runtime_hours"):
        bound(max_runtime_hours=1 / 3600).run(ENDLESS, {"folder": str(tmp_path), "seconds": 60}, SMALL, "long")


def test_cancelled_task_is_refused(bound, tmp_path):
    """Whoever waits is told that somebody ended it."""
    compute = bound()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(compute.run, ENDLESS, {"folder": str(tmp_path), "seconds": 60}, SMALL, "cancelled")
        until(lambda: calls(tmp_path))
        compute.cancel("cancelled")
        with pytest.raises(Refused, match="was cancelled"):
            waiting.result()


def test_log_streams_while_the_task_runs(bound, capfd):
    """The first line is there before the last one is written, and each comes once."""
    compute, heard = bound(), ""

    def hears():
        nonlocal heard
        heard += capfd.readouterr().err
        return "line 0 of 6" in heard

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(compute.run, TALK, {"lines": 6, "pause_seconds": 0.5}, SMALL, "talk")
        until(hears)
        assert not waiting.done()
        assert waiting.result() == 6
    heard += capfd.readouterr().err
    assert [heard.count(f"line {number} of 6\n") for number in range(6)] == [1] * 6


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((401, "UNAUTHENTICATED", "the access token has expired"), StoreUnavailable),
        ((401, "UNAUTHENTICATED", "invalid authentication credentials"), InvalidEnvironment),
        ((403, "PERMISSION_DENIED", "aiplatform.customJobs.create denied"), InvalidEnvironment),
        ((400, "INVALID_ARGUMENT", "no such machine type"), InvalidEnvironment),
        ((503, "UNAVAILABLE", "the service is away"), StoreUnavailable),
    ],
)
def test_refusals_are_told_as_what_they_are(bound, vertex, tmp_path, refusal, error):
    """Rights are somebody's to give; credentials and servers come back."""
    status, code, message = refusal
    vertex.fail("CreateCustomJob", status=status, code=code, message=message, times=4)
    with pytest.raises(error, match=message):
        echo(bound(api_patience_seconds=0), tmp_path, "refused")
    assert calls(tmp_path) == 0


def test_wrong_key_of_an_account_is_named(bound, vertex, tmp_path, monkeypatch):
    """It signs what nobody believes; nothing runs."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.stranger))
    with pytest.raises(InvalidEnvironment) as told:
        echo(bound(), tmp_path, "wrong")
    assert "PRIVATE KEY" not in str(told.value)
    assert calls(tmp_path) == 0


def test_no_identity_at_all_is_named(bound, monkeypatch, tmp_path):
    """A file that is not there, with what to do."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(InvalidEnvironment, match="give this process an identity"):
        echo(bound(), tmp_path, "nobody")


def test_service_that_does_not_answer_is_transient(bound, vertex, tmp_path):
    """Nobody listens there; what runs elsewhere goes on."""
    gone = vertex.endpoints | {"vertex": "http://127.0.0.1:9"}
    with pytest.raises(StoreUnavailable):
        echo(bound(endpoints=gone, api_patience_seconds=0), tmp_path, "gone")


def test_bucket_that_is_gone_is_named(bound, vertex, tmp_path):
    """With what to do, and nothing ran."""
    name = f"gone-{uuid.uuid4().hex[:8]}"
    with pytest.raises(InvalidEnvironment, match=rf"gs://{name}/tasks is not there.*make the bucket"):
        echo(bound(store=f"gs://{name}/tasks"), tmp_path, "no-bucket")
    assert calls(tmp_path) == 0
