"""How an endpoint of Vertex AI comes to its plan when the service refuses, fails, or forgets to answer.

No container runs here: machines do not come before the test is over, come bare, or fail first.
"""

from __future__ import annotations

import uuid

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import InvalidEnvironment, Overloaded, Refused, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import new_model, served, wait_until
from loopline.resources.managed_endpoints import serving as managed
from loopline.resources.managed_endpoints.service import Phase
from loopline.resources.managed_jobs import retries
from loopline.resources.vertex import endpoint_link, endpoints
from loopline.resources.vertex.serving import VertexServing
from tests.emulators.gcs import BUCKET
from tests.emulators.vertex_server import IMAGE, PROJECT

NEVER = {"delay": 3600}
"""Machines that do not come while a test runs."""


@pytest.fixture
def bind(vertex, gcs_server, tmp_path, monkeypatch):
    """Bind the vendor to names of this test alone; the service is asked at each look, and again after a moment."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.account))
    monkeypatch.setattr(managed, "LOOK_SECONDS", -1.0)
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(endpoint_link, "PAUSE_SECONDS", 0.02)
    vertex.mend()
    own = uuid.uuid4().hex[:6]
    file = tmp_path / "environment.yaml"
    file.write_text("bindings: {}\n")
    bound = []

    def make(**more):
        settings = {"image": IMAGE, "project": PROJECT, "location": "europe-west4", "endpoints": {"vertex": vertex.url}}
        settings |= {"service_account": f"ml-{{team}}@{PROJECT}.iam.gserviceaccount.com", "environment": file}
        place = {"store": f"gs://{BUCKET}/{own}", "storage_options": gcs_server.options, "name_prefix": f"t{own}"}
        bound.append(VertexServing(**{**settings, **place, **more}))
        return bound[-1]

    yield make
    vertex.mend()
    for one in bound:
        one.close()


@pytest.fixture
def state(tmp_path):
    """Give the first state of a new model."""
    return DesiredState(new_model(), 1, served(tmp_path, "1"))


def asked_for(vertex, operation, serving, model):
    """Return how often an operation was asked of a model's endpoint, or of one of its plans."""
    name = serving.endpoint_name(model)
    return [said for said in vertex.asked(operation) if name in str(said)]


def is_served(serving, model):
    """Tell whether an endpoint serves by the plan that lies in the bucket, after one more look."""
    serving.observe(model)
    plan = serving.below(serving.group(model)).read("endpoint")[0].decode()
    seen = serving.service.look(serving.endpoint_name(model))
    return (seen.phase, seen.plan) == (Phase.SERVING, plan)


@pytest.fixture
def changing(vertex, bind, state):
    """Give an endpoint that serves, and its serving as a changed environment file has it: what is next goes wrong."""
    vertex.fail("deploy", bare=True)
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))
    return bind(instances=2)


def test_what_is_asked_of_the_service(vertex, bind, state):
    """Model, endpoint and deployment say what the settings do; a second apply asks for nothing more."""
    vertex.fail("deploy", **NEVER)
    serving = bind(
        instances=2, most_instances=5, machine_type="g2-standard-8", kms_key="k", labels={"a": "b"}, env={"A": "b"}
    )
    serving.apply(state)
    serving.apply(state)
    (model,) = (said["body"] for said in asked_for(vertex, "UploadModel", serving, state.model))
    (endpoint,) = (said["body"] for said in asked_for(vertex, "CreateEndpoint", serving, state.model))
    (deploy,) = (said["body"] for said in asked_for(vertex, "DeployModel", serving, state.model))
    spec, deployed = model["model"]["containerSpec"], deploy["deployedModel"]
    assert (spec["imageUri"], spec["predictRoute"], spec["healthRoute"]) == (IMAGE, "/predict", "/v2/health/ready")
    assert {"name": "A", "value": "b"} in spec["env"]
    assert model["model"]["encryptionSpec"] == endpoint["encryptionSpec"] == {"kmsKeyName": "k"}
    assert deployed["serviceAccount"] == f"ml-kit@{PROJECT}.iam.gserviceaccount.com"
    machines = deployed["dedicatedResources"]
    assert machines["machineSpec"]["machineType"] == "g2-standard-8"
    assert machines["machineSpec"]["acceleratorCount"] == 1
    assert (machines["minReplicaCount"], machines["maxReplicaCount"]) == (2, 5)
    assert deploy["trafficSplit"] == {"0": 100}
    assert endpoint["labels"]["a"] == model["model"]["labels"]["a"] == "b"
    seen = serving.observe(state.model)
    assert (seen.generation, seen.ready) == (None, False)
    assert "DeployModel is not done" in seen.problem


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("UploadModel", {"lost": True}),
        ("CreateEndpoint", {"lost": True}),
        ("DeployModel", {"lost": True}),
        ("DeployModel", {"status": 503, "code": "UNAVAILABLE"}),
    ],
)
def test_an_answer_that_was_lost_or_late_makes_nothing_twice(vertex, bind, state, operation, fault):
    """The service is asked again, and what is there already by that name or number is what was asked for."""
    vertex.fail("deploy", **NEVER)
    vertex.fail(operation, **fault)
    serving = bind()
    serving.apply(state)
    assert len(asked_for(vertex, operation, serving, state.model)) == 2
    assert "DeployModel is not done" in serving.observe(state.model).problem


@pytest.mark.parametrize(
    "asking_for", [("UploadModel", "_uploads", "_model"), ("CreateEndpoint", "_doings", "_found")], ids="-".join
)
def test_what_comes_while_it_is_looked_for_is_there(vertex, bind, state, monkeypatch, asking_for):
    """The answer was lost, it is asked for at once, and the operation ends just before operations are listed."""
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0)
    operation, listing, found = asking_for
    vertex.fail("deploy", **NEVER)
    vertex.fail(operation, lost=True)
    serving, listed = bind(), getattr(endpoints.VertexEndpoints, listing)

    def once_it_is_there(service, name):
        if asked_for(vertex, operation, serving, state.model):
            assert wait_until(lambda: getattr(service, found)(name) is not None)
        return listed(service, name)

    monkeypatch.setattr(endpoints.VertexEndpoints, listing, once_it_is_there)
    serving.apply(state)
    assert "DeployModel is not done" in serving.observe(state.model).problem


def test_two_who_deploy_the_same_agree(vertex, bind, state):
    """The second finds the deployment under way; when it is done one model is deployed."""
    vertex.fail("deploy", bare=True, delay=0.5)
    first, second = bind(), bind()
    first.apply(state)
    second.apply(state)
    assert wait_until(lambda: is_served(second, state.model))
    found = second.service._found(second.endpoint_name(state.model))
    assert (len(found.deployed_models), [*found.traffic_split.values()]) == (1, [100])


def test_a_used_up_quota_is_told_and_tried_again(vertex, bind, state):
    """Whoever deploys is told so in the service's words; the next look deploys, since the plan is known."""
    vertex.fail("deploy", **NEVER)
    vertex.fail("DeployModel", status=429, code="RESOURCE_EXHAUSTED", message="custom_model_serving_cpus is used up")
    serving = bind()
    with pytest.raises(Overloaded, match="custom_model_serving_cpus"):
        serving.apply(state)
    assert "is made" in serving.observe(state.model).problem
    assert "DeployModel is not done" in serving.observe(state.model).problem


def test_a_deployment_that_failed_stays_until_somebody_deploys(vertex, bind, state):
    """It says why, costs nothing more, and is made anew by the next deployment."""
    reason = "Model server exited unexpectedly. Please check the container's log."
    vertex.fail("deploy", reason=reason)
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "has failed" in serving.observe(state.model).problem)
    for _ in range(2):
        seen = serving.observe(state.model)
        assert (seen.ready, reason in seen.problem, "deploy again" in seen.problem) == (False, True, True)
    assert len(asked_for(vertex, "DeployModel", serving, state.model)) == 1
    vertex.fail("deploy", bare=True)
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))


def test_a_model_that_cannot_be_made_is_told(vertex, bind, state):
    """Whoever deploys hears why its upload has failed, and no endpoint is made."""
    vertex.fail("upload", reason="Image x is not found in Artifact Registry")
    serving = bind()
    with pytest.raises(InvalidEnvironment, match="Image x is not found"):
        serving.apply(state)
    assert asked_for(vertex, "CreateEndpoint", serving, state.model) == []


def test_traffic_is_led_to_the_new_machines_and_the_old_ones_go(vertex, changing, state):
    """The old model has all traffic until the new one answers, then none; then its machines are given back."""
    vertex.fail("deploy", bare=True)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))
    service, name = changing.service, changing.endpoint_name(state.model)
    assert wait_until(lambda: changing.observe(state.model) and len(service._found(name).deployed_models) == 1)
    assert [*service._found(name).traffic_split.values()] == [100]
    assert len(asked_for(vertex, "UndeployModel", changing, state.model)) == 1


def test_traffic_is_led_back_to_machines_that_are_there_still(vertex, bind, changing, state, monkeypatch):
    """A change that is taken back at once needs no machines: the traffic is led by the split alone."""
    monkeypatch.setattr(endpoints.VertexEndpoints, "sweep", lambda *_, **__: None)  # as if nobody had looked since
    vertex.fail("deploy", bare=True)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))
    before = bind()
    before.apply(state)
    assert is_served(before, state.model)
    assert len(asked_for(vertex, "DeployModel", before, state.model)) == 2
    (led,) = asked_for(vertex, "UpdateEndpoint", before, state.model)
    assert [*led["body"]["trafficSplit"].values()] == [100]


def test_a_change_that_failed_is_asked_for_again_when_somebody_deploys(vertex, bind, state, changing):
    """Whichever process looks; the endpoint serves as before until then."""
    vertex.fail("deploy", reason="no capacity")
    changing.apply(state)
    assert wait_until(lambda: "deploy again" in changing.observe(state.model).problem)
    for looking in (changing, bind(instances=2)):
        assert "no capacity" in looking.observe(state.model).problem
    assert len(asked_for(vertex, "DeployModel", changing, state.model)) == 2
    vertex.fail("deploy", bare=True)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))


def test_a_change_that_the_service_would_never_make_is_refused(vertex, state, changing):
    """Whoever deploys is told so in the service's words."""
    words = "Machine type n9-none is not supported."
    vertex.fail("DeployModel", status=400, code="INVALID_ARGUMENT", message=words)
    with pytest.raises(InvalidEnvironment, match="n9-none"):
        changing.apply(state)


def test_an_endpoint_that_somebody_deleted_is_made_again(vertex, bind, state, changing):
    """A look finds it gone and makes it by its plan, by whichever process."""
    changing.service.delete(changing.endpoint_name(state.model))
    assert wait_until(lambda: changing.service.look(changing.endpoint_name(state.model)).phase is Phase.ABSENT)
    vertex.fail("deploy", bare=True)
    other = bind()
    assert wait_until(lambda: is_served(other, state.model))
    assert len(asked_for(vertex, "CreateEndpoint", other, state.model)) == 2


def test_let_go_waits_for_what_the_service_is_doing(vertex, bind, state):
    """An endpoint that is being made does not end: that is refused, and the plan stays, so that it is looked after."""
    vertex.fail("deploy", **NEVER)
    serving = bind()
    serving.apply(state)
    with pytest.raises(Refused, match="ask again when the service is done with it"):
        serving.let_go(state.model)
    assert serving.below(serving.group(state.model)).read("endpoint") is not None


def test_let_go_leaves_nothing(vertex, state, changing):
    """Machines, endpoint and models are gone with the group's last model; said again, nothing happens."""
    for operation in ("UndeployModel", "DeleteEndpoint", "DeleteModel"):
        vertex.fail(operation, lost=True)
    assert changing.let_go(state.model)
    service, name = changing.service, changing.endpoint_name(state.model)
    assert wait_until(lambda: service.look(name).phase is Phase.ABSENT)
    assert service._labelled(name) == []
    assert "is made" not in changing.observe(state.model).problem
    assert changing.let_go(state.model)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403, "code": "PERMISSION_DENIED", "message": "'aiplatform.models.get' denied"}, InvalidEnvironment),
        ({"status": 401, "code": "UNAUTHENTICATED", "times": 9}, InvalidEnvironment),
        ({"status": 503, "code": "UNAVAILABLE", "times": 500}, StoreUnavailable),
        (
            {"status": 429, "code": "RESOURCE_EXHAUSTED", "message": "requests per minute", "times": 500},
            StoreUnavailable,
        ),
    ],
    ids=["denied", "unknown", "away", "throttled"],
)
def test_refusals(vertex, bind, state, fault, error):
    """Each is one of ours: worth another try or not; and no state is left for servers."""
    serving = bind(api_patience_seconds=0.2)
    vertex.fail("GetModel", **fault)
    with pytest.raises(error):
        serving.service.create(serving.endpoint_name(state.model), "plan")


def test_a_strangers_key_is_refused(vertex, bind, state, monkeypatch):
    """Nothing is made, and it is told who has to act."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.stranger))
    serving = bind()
    with pytest.raises(InvalidEnvironment, match="identity"):
        serving.apply(state)
    assert asked_for(vertex, "UploadModel", serving, state.model) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"env": {f"V{n}": "x" for n in range(100)}}, "variables"),
        ({"service_account": "ml-{model}@x.iam.gserviceaccount.com"}, "service_account"),
    ],
)
def test_what_the_service_would_never_take_is_refused_before_anything_is_written(vertex, bind, state, settings, words):
    """Neither is the state left for servers, nor is the service asked."""
    serving = bind(**settings)
    with pytest.raises(InvalidEnvironment, match=words):
        serving.apply(state)
    assert serving.group_states(serving.group(state.model)).models() == set()
    assert asked_for(vertex, "UploadModel", serving, state.model) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoints": {"storage": "http://x"}},
        {"labels": {"A": "b"}},
        {"location": "europe west"},
        {"most_instances": 1, "instances": 2},
        {"grpc_port": 8081},
        {"starts_seconds": 5},
    ],
)
def test_wrong_settings_are_refused(bind, settings):
    """When the environment file is read, by name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        bind(**settings)
