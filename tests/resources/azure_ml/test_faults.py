"""What goes wrong on Azure ML, by a strict fake: what is waited out, what is told, and that nothing runs twice."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import httpx
import pytest
from pydantic import ValidationError

from loopline.platform_core.errors import (
    InvalidEnvironment,
    Overloaded,
    StoreUnavailable,
    TaskFailed,
    Transient,
)
from loopline.platform_core.testing.compute import ECHO, ENDLESS, SMALL, calls
from loopline.resources.azure_ml import link
from loopline.resources.managed_jobs import deadline, retries
from tests.emulators.azure_ml_server import CLUSTERS, GROUP, SUBSCRIPTION, WORKSPACE
from tests.resources.sagemaker.test_compute import KILLED_ONCE

JOBS = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.MachineLearningServices"
    f"/workspaces/{WORKSPACE}/jobs"
)


@pytest.fixture
def soon(monkeypatch):
    """Ask again, and tell what is in the way, after a fifth of a second."""
    monkeypatch.setattr(deadline, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.2)


def echo(compute, folder, key):
    """Run a task that notes its call, and return what it says."""
    return compute.run(ECHO, {"folder": str(folder), "value": 1}, SMALL, key)


def test_what_goes_wrong_with_the_creation_makes_no_second_job(bound, azure_ml, tmp_path, soon, monkeypatch):
    """Throttled, refused by a server, its answer lost, or come when nobody waited: the name makes it one job."""
    monkeypatch.setattr(link, "CALL_SECONDS", 0.7)
    azure_ml.fail("PutJob", status=429, code="TooManyRequests", message="Slow down")
    azure_ml.fail("PutJob", status=503, code="ServiceUnavailable")
    azure_ml.fail("PutJob", lost=True)
    azure_ml.fail("PutJob", late=1.5)
    azure_ml.fail("GetJob", status=500, code="InternalServerError", times=2)
    before = len(azure_ml.asked("PutJob"))
    assert echo(bound(api_patience_seconds=60), tmp_path, "lost")["value"] == 1
    assert (calls(tmp_path), len(azure_ml.asked("PutJob")) - before) == (1, 5)


def test_quota_is_told_and_waited_for_or_fails_where_nobody_shall(bound, azure_ml, tmp_path, soon, capfd):
    """In the service's own words; nothing ran where it failed."""
    full = {"status": 400, "code": "QuotaExceeded", "message": "no cores are left"}
    azure_ml.fail("PutJob", **full, times=500)
    with pytest.raises(Overloaded, match="no cores are left"):
        echo(bound(waiting="fail"), tmp_path, "quota")
    assert calls(tmp_path) == 0
    azure_ml.mend()
    azure_ml.fail("PutJob", **full, times=4)
    assert echo(bound(), tmp_path, "quota")["value"] == 1
    assert "waits: no cores are left" in capfd.readouterr().err


def test_queued_job_is_given_up_after_its_time(bound, azure_ml, tmp_path, soon):
    """And ended, so that it is not billed."""
    azure_ml.fail("job", pending=60)
    before = len(azure_ml.asked("CancelJob"))
    with pytest.raises(Overloaded, match="Queued"):
        echo(bound(patience_minutes=0.02), tmp_path, "pending")
    assert (len(azure_ml.asked("CancelJob")) - before, calls(tmp_path)) == (1, 0)


REASONS = [
    ("UserError", "AllocationFailed: no capacity for the size in this region", Overloaded),
    ("ServiceError", "Internal error encountered", Transient),
    ("UserError", "The node was preempted, and the job is not queued again", Transient),
    ("UserError", "Failed to pull the image: unauthorized", InvalidEnvironment),
    ("UserError", "The job ran out of memory", TaskFailed),
]


def test_failures_are_told_as_what_they_are_and_the_key_runs_anew(bound, azure_ml, tmp_path):
    """What the history says, with whether another try helps; then another job of the key answers."""
    compute = bound()
    for kind, reason, error in REASONS:
        azure_ml.fail("job", reason=reason, kind=kind)
        with pytest.raises(error) as told:
            echo(compute, tmp_path, "fails")
        assert type(told.value) is error
        assert reason in str(told.value)
    azure_ml.fail("job", reason="unheard", kind="UserError")
    azure_ml.fail("GetRun", status=403, code="Forbidden", times=50)
    with pytest.raises(Transient, match="history does not say why"):
        echo(compute, tmp_path, "fails")
    azure_ml.mend()
    assert echo(compute, tmp_path, "fails") == {"value": 1, "before": 0}


def test_killed_process_is_transient(bound, tmp_path):
    """Nobody knows whether memory was short: the error says what to do if it happens again."""
    with pytest.raises(Transient, match=r"was killed .*137.* raise memory_gb"):
        bound().run(KILLED_ONCE, {"folder": str(tmp_path)}, SMALL, "killed")


def test_image_without_loopline_is_told_so(bound):
    """The command is not there: what the environment calls Python is looked at."""
    with pytest.raises(TaskFailed, match=r"127.*the path that 'python' names"):
        bound(python="/opt/no python/python").run("os:getpid", {}, SMALL, "no-image")


def test_node_that_is_taken_back_begins_again_by_itself(bound, azure_ml, tmp_path):
    """Nobody is told of it, and the caller gets the answer; it is billed at the cluster's size."""
    compute = bound()
    azure_ml.fail("job", interrupt_after=0.0)
    assert echo(compute, tmp_path, "spot")["value"] == 1
    assert azure_ml.asked("PutJob")[-1]["body"]["properties"]["computeId"].endswith("/computes/small")
    assert compute.billed("spot").machine == CLUSTERS["small"]["size"]


def test_task_that_takes_too_long_is_ended(bound, tmp_path):
    """Azure ML cancels it; another try would take as long."""
    with pytest.raises(TaskFailed, match="raise max_runtime_hours"):
        bound(max_runtime_hours=1 / 3600).run(ENDLESS, {"folder": str(tmp_path), "seconds": 60}, SMALL, "long")


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((401, "ExpiredAuthenticationToken", "The access token has expired"), StoreUnavailable),
        ((401, "InvalidAuthenticationToken", "The access token is invalid"), InvalidEnvironment),
        ((403, "AuthorizationFailed", "no right to perform jobs/write"), InvalidEnvironment),
        ((400, "UserError", "no such cluster"), InvalidEnvironment),
        ((503, "ServiceUnavailable", "the service is away"), StoreUnavailable),
    ],
)
def test_refusals_are_told_as_what_they_are(bound, azure_ml, tmp_path, refusal, error):
    """Rights are somebody's to give; credentials and servers come back."""
    status, code, message = refusal
    azure_ml.fail("PutJob", status=status, code=code, message=message, times=4)
    with pytest.raises(error, match=message):
        echo(bound(api_patience_seconds=0), tmp_path, "refused")
    assert calls(tmp_path) == 0


def test_whoever_is_not_known_is_told_so(bound, identity, monkeypatch, tmp_path):
    """A token of somebody else's, and no identity at all: with what to do, and no token in what is told."""
    identity.token = "of-a-stranger"
    with pytest.raises(InvalidEnvironment, match="give this process an identity") as told:
        echo(bound(), tmp_path, "stranger")
    assert "of-a-stranger" not in str(told.value)
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(InvalidEnvironment, match="give this process an identity"):
        echo(bound(), tmp_path, "nobody")
    assert calls(tmp_path) == 0


def test_places_that_are_not_there_are_named(bound, azure_ml, tmp_path):
    """A service that nobody listens for is worth another try; workspace, container and clusters are to be mended."""
    gone = azure_ml.endpoints | {"resource_manager": "https://127.0.0.1:9"}
    with pytest.raises(StoreUnavailable):
        echo(bound(endpoints=gone, api_patience_seconds=0), tmp_path, "gone")
    name = f"gone-{uuid.uuid4().hex[:8]}"
    with pytest.raises(InvalidEnvironment, match=rf"az://{name}/tasks is not there.*make the container"):
        echo(bound(store=f"az://{name}/tasks"), tmp_path, "no-container")
    with pytest.raises(InvalidEnvironment, match="workspaces/other"):
        echo(bound(workspace="other"), tmp_path, "no-workspace")
    with pytest.raises(InvalidEnvironment, match="Compute with name 'none' not found"):
        echo(bound(clusters={"none": CLUSTERS["small"]}), tmp_path, "no-cluster")
    with pytest.raises(InvalidEnvironment, match="names no datastore"):
        echo(bound(datastore="other"), tmp_path, "no-datastore")
    assert calls(tmp_path) == 0


def test_key_of_the_account_is_shown_nowhere(bound):
    """Nor is it in what a job is told; settings that no service takes are refused."""
    compute = bound(account_key="c2VjcmV0")
    assert "c2VjcmV0" not in repr(compute)
    for wrong in ({"store": "s3://x/y"}, {"clusters": {}}, {"endpoints": {"arm": "https://x"}}, {"env": {"a-b": "1"}}):
        with pytest.raises(ValidationError):
            bound(**wrong)


def test_tokens_for_the_history_go_to_azure_ml_alone(bound):
    """Where a job says that it is tracked is believed of Azure ML's own hosts."""
    found = link.Link(bound(endpoints={}))

    def place(endpoint):
        tracking = SimpleNamespace(endpoint=endpoint)
        return found._history_of(SimpleNamespace(properties=SimpleNamespace(services={"Tracking": tracking})))

    assert place("azureml://westeurope.api.azureml.ms/mlflow/v1.0") == "https://westeurope.api.azureml.ms"
    assert place("azureml://azureml.ms.evil.example/mlflow/v1.0") == ""
    found.close()


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        (
            "PUT /x?api-version=2023-04-01",
            {"properties": {"jobType": "Command", "command": "x", "environmentId": "e", "nodes": 2}},
            "400 Could not find member",
        ),
        ("PUT /x?api-version=2023-04-01", {"properties": {"jobType": "Command"}}, "400 Required property 'command'"),
        ("PUT /x?api-version=2019-01-01", {}, "400 The api-version"),
        ("DELETE /x?api-version=2023-04-01", None, "404 The resource type could not be found"),
        ("GET /x?api-version=2023-04-01", None, "404 Job x not found"),
    ],
)
def test_the_fake_is_strict(azure_ml, asked, body, told):
    """What the models do not have, and what is not faked, is refused in Azure Resource Manager's own form."""
    azure_ml.mend()
    with httpx.Client(verify=str(azure_ml.authority), headers={"Authorization": f"Bearer {azure_ml.token}"}) as client:
        method, path = asked.split()
        answer = client.request(method, azure_ml.url + JOBS + path, json=body)
    said = answer.json()["error"]
    assert set(said) == {"code", "message"}
    assert f"{answer.status_code} {said['message']}".startswith(told)
