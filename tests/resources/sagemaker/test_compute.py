"""The compute on SageMaker, by a strict fake that runs the jobs: every promise, and each way in which a job ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from loopline.platform_core.errors import (
    InvalidEnvironment,
    Overloaded,
    Refused,
    StoreUnavailable,
    TaskFailed,
    Transient,
    Unsupported,
)
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import ECHO, ENDLESS, FRAGILE, SLOW, SMALL, TALK, ComputeKit, calls
from loopline.resources.managed_jobs import deadline
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.sagemaker import logs
from loopline.resources.sagemaker.bucket import Bucket
from loopline.resources.sagemaker.link import Link
from tests.s3_server import BUCKET

KILLED_ONCE = "loopline.platform_core.testing.compute:killed_once"


class TestSageMakerCompute(ComputeKit):
    tested_on = "strict fake"

    @pytest.fixture
    def compute(self, bound):
        """One whose keys are of this test alone."""
        return bound()


def until(holds, seconds=60):
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)  # between two looks: what is looked at tells nobody
    return found


@pytest.fixture
def at_work():
    """Run tasks in threads of their own."""
    with ThreadPoolExecutor(2) as pool:
        yield pool.submit


@pytest.fixture
def no_last_line(monkeypatch):
    """Wait a second, not ten, for the last line of what was killed."""
    monkeypatch.setattr(logs, "LAST_SECONDS", 1)


@pytest.fixture
def told_soon(monkeypatch):
    """Tell what is in the way after a fifth of a second instead of ten."""
    monkeypatch.setattr(deadline, "WAIT_SECONDS", 0.2)


def test_lost_answer_to_the_creation_makes_no_second_job(bound, server, tmp_path):
    """The job is made and nobody is told: the client asks again, the name is taken, and the task runs once."""
    server.fail("CreateTrainingJob", lost=True)
    compute = bound()
    assert compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "lost")["value"] == 1
    assert calls(tmp_path) == 1


def test_throttling_and_server_errors_are_waited_out(bound, server, tmp_path):
    """More of them than the client itself repeats; the task runs once."""
    server.fail("CreateTrainingJob", code="ThrottlingException", message="Rate exceeded", times=5)
    server.fail("DescribeTrainingJob", code="InternalFailure", status=500, times=2)
    compute = bound(api_patience_seconds=60)
    assert compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "throttled")["value"] == 1
    assert calls(tmp_path) == 1


def test_quota_is_told_and_waited_for(bound, server, tmp_path, told_soon, capfd):
    """In the service's own words; when there is room again the task runs."""
    server.fail("CreateTrainingJob", code="ResourceLimitExceeded", message="quota ml.m5.large is 0 Instances", times=9)
    assert bound().run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "quota")["value"] == 1
    assert "waits: ResourceLimitExceeded: quota ml.m5.large is 0 Instances" in capfd.readouterr().err


def test_quota_fails_where_nobody_shall_wait(bound, server, tmp_path, told_soon):
    """It is worth another try later, and nothing ran."""
    server.fail("CreateTrainingJob", code="ResourceLimitExceeded", message="the account is full", times=20)
    with pytest.raises(Overloaded, match="the account is full"):
        bound(waiting="fail").run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "quota")
    assert calls(tmp_path) == 0


def test_pending_job_is_told_and_given_up_after_its_time(bound, server, tmp_path, told_soon, capfd):
    """A machine on its way is no reason to fail at once; given up, the job is ended."""
    server.fail("job", pending=60)
    with pytest.raises(Overloaded, match="Pending: Waiting for capacity"):
        bound(waiting="fail", patience_minutes=0.03).run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "pending")
    assert "waits: Pending: Waiting for capacity" in capfd.readouterr().err
    assert server.asked("StopTrainingJob")
    assert calls(tmp_path) == 0


REASONS = [
    ("CapacityError: Unable to provision requested ML compute capacity.", Overloaded),
    ("InternalServerError: We encountered an internal error.", Transient),
    ("ClientError: Cannot pull the image: it is not there", InvalidEnvironment),
    ("ClientError: Please use an instance type with more memory", TaskFailed),
    ("AlgorithmError: , exit code: 1", TaskFailed),
]


def test_failures_are_told_as_what_they_are_and_the_key_runs_anew(bound, server, tmp_path):
    """What the service says, with whether another try helps; then another job of the key answers."""
    compute = bound()
    for reason, error in REASONS:
        server.fail("job", reason=reason)
        with pytest.raises(error) as told:
            compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "fails")
        assert type(told.value) is error
        assert reason.split(": ", 1)[1].rstrip(".") in str(told.value)
    assert compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "fails") == {"value": 1, "before": 0}


def test_killed_container_is_transient_and_runs_anew(bound, tmp_path, no_last_line):
    """Nobody knows whether memory was short: the error says what to do if it happens again."""
    compute = bound()
    with pytest.raises(Transient, match=r"was killed .*137.* raise memory_gb"):
        compute.run(KILLED_ONCE, {"folder": str(tmp_path)}, SMALL, "killed")
    assert compute.run(KILLED_ONCE, {"folder": str(tmp_path)}, SMALL, "killed") == "alive"


def test_failure_is_told_if_nothing_of_a_failed_job_is_kept(bound, server, tmp_path):
    """Then its reason is what the service tells of it: the task's own words, without the traceback."""
    server.fail("job", uploads_failed=False)
    with pytest.raises(TaskFailed, match="raised ValueError: the cup fell"):
        bound().run(FRAGILE, {"folder": str(tmp_path)}, SMALL, "untold")


def test_image_without_loopline_is_told_so(bound, no_last_line):
    """The command is not there: what the environment calls Python is looked at."""
    with pytest.raises(TaskFailed, match=r"127.*the path that 'python' names"):
        bound(python="/opt/no/python").run("os:getpid", {}, SMALL, "no-image")


def test_spot_machine_that_is_taken_back_begins_again_by_itself(bound, server, tmp_path):
    """Nobody is told of it, and the caller gets the answer."""
    server.fail("job", interrupt_after=0.0)
    compute = bound(spot=True)
    done = compute.run(SLOW, {"folder": str(tmp_path), "value": 1}, SMALL, "spot")
    assert done["value"] == 1
    asked = server.asked("CreateTrainingJob")[-1]
    assert asked["EnableManagedSpotTraining"] is True
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 86_400}


def test_spot_machines_that_stay_away_are_transient(bound, server, tmp_path):
    """The job ends when its time is over: another try may find some."""
    server.fail("job", pending=1.5)
    with pytest.raises(Transient, match="raise spot_wait_hours"):
        bound(spot=True, spot_wait_hours=1 / 3600, max_runtime_hours=1 / 3600).run(
            ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "spot-away"
        )


def test_task_that_takes_too_long_is_ended(bound, tmp_path, no_last_line):
    """Another try would take as long."""
    with pytest.raises(TaskFailed, match="raise max_runtime_hours"):
        bound(max_runtime_hours=1 / 3600).run(ENDLESS, {"folder": str(tmp_path), "seconds": 60}, SMALL, "long")


def test_cancelled_task_is_refused(bound, tmp_path, at_work, no_last_line):
    """Whoever waits is told that somebody ended it."""
    compute = bound()
    waiting = at_work(compute.run, ENDLESS, {"folder": str(tmp_path), "seconds": 60}, SMALL, "cancelled")
    until(lambda: calls(tmp_path))
    compute.cancel("cancelled")
    with pytest.raises(Refused, match="was cancelled"):
        waiting.result()


def test_log_streams_while_the_task_runs(bound, capfd, at_work):
    """The first line is there long before the last one is written, and each comes once."""
    compute = bound()
    waiting = at_work(compute.run, TALK, {"lines": 6, "pause_seconds": 0.5}, SMALL, "talk")
    heard = ""

    def hears():
        nonlocal heard
        heard += capfd.readouterr().err
        return "line 0 of 6" in heard

    until(hears)
    assert not waiting.done()
    assert waiting.result() == 6
    heard += capfd.readouterr().err
    assert [heard.count(f"line {number} of 6\n") for number in range(6)] == [1] * 6


def test_the_last_lines_are_waited_for(bound, server, capfd):
    """The service shows them two seconds after the job has ended; the line that says so is not shown."""
    server.fail("job", log_delay=2)
    assert bound().run(TALK, {"lines": 4, "pause_seconds": 0}, SMALL, "late") == 4
    heard = capfd.readouterr().err
    assert [heard.count(f"line {number} of 4\n") for number in range(4)] == [1] * 4
    assert logs.END not in heard


def test_answer_that_somebody_deleted_is_made_again(bound, server, tmp_path):
    """A bucket whose rules delete what is old loses answers; the task runs anew under another name."""
    compute = bound()
    compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "deleted")
    name = job_name(compute.name_prefix, "deleted", 1, 63)
    prefix = compute.store.removeprefix(f"s3://{BUCKET}/")
    s3 = boto3.client("s3", endpoint_url=server.s3.url, region_name="eu-west-1")
    s3.delete_object(Bucket=BUCKET, Key=f"{prefix}/{name}/output/output.tar.gz")
    assert compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "deleted")["before"] == 1


def test_name_of_another_key_is_not_taken_for_ours(bound, server, tmp_path):
    """Somebody else's job under that name is named, and left alone."""
    compute = bound()
    compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "mine")
    asked = server.asked("CreateTrainingJob")[-1]
    client = boto3.client("sagemaker", endpoint_url=server.url, region_name="eu-west-1")
    taken = job_name(compute.name_prefix, "theirs", 1, 63)
    client.create_training_job(**asked | {"TrainingJobName": taken})
    with pytest.raises(InvalidEnvironment, match="not for 'theirs' but 'mine'"):
        compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "theirs")


def test_wrong_secret_is_named(bound, monkeypatch, tmp_path):
    """A key that is not ours is refused, and the secret is nowhere in the error."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(InvalidEnvironment, match="UnrecognizedClientException") as told:
        bound().run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "wrong")
    assert "another-secret" not in str(told.value)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", InvalidEnvironment),
        ("ExpiredTokenException", StoreUnavailable),
        ("InvalidSignatureException", StoreUnavailable),
        ("ServiceUnavailable", StoreUnavailable),
        ("ValidationException", InvalidEnvironment),
    ],
)
def test_refusals_are_told_as_what_they_are(bound, server, tmp_path, code, error):
    """Rights are somebody's to give; credentials and servers come back."""
    server.fail("CreateTrainingJob", code=code, message="no", times=4)
    with pytest.raises(error, match=code):
        bound(api_patience_seconds=0).run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "refused")
    assert calls(tmp_path) == 0


def test_service_that_does_not_answer_is_transient(bound, server, tmp_path):
    """Nobody listens there; what runs elsewhere goes on."""
    gone = server.endpoints | {"sagemaker": "http://127.0.0.1:9"}
    with pytest.raises(StoreUnavailable, match="Could not connect"):
        bound(endpoints=gone, api_patience_seconds=0).run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "gone")


def test_bucket_that_is_not_there_is_named(bound):
    """With what to do."""
    link = Link(bound())
    with pytest.raises(InvalidEnvironment, match=r"s3://no-such-bucket-here/tasks is not there.*make the bucket"):
        Bucket(link, "s3://no-such-bucket-here/tasks", None).answer("job", 1)


def test_more_workers_than_the_environment_allows_are_refused(bound, tmp_path):
    """Before anything runs, with what to raise."""
    with pytest.raises(Unsupported, match="raise 'most_workers'"):
        bound(most_workers=2).run(
            ECHO, {"folder": str(tmp_path), "value": 1}, Requirements(cpu=1, memory_gb=1, workers=3), "many"
        )
