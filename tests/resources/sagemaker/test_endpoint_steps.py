"""How an endpoint comes to its plan when the service refuses, fails, forgets to answer, or somebody else was there.

No container runs here: machines do not come before the test is over, or the endpoint fails first.
"""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import InvalidEnvironment, NotFound, Overloaded, Refused, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import new_model, served, wait_until
from loopline.resources.managed_endpoints import serving as managed
from loopline.resources.managed_endpoints.service import Phase
from loopline.resources.sagemaker.endpoints import _told
from loopline.resources.sagemaker.serving import SageMakerServing
from tests.emulators.sagemaker_server import IMAGE
from tests.s3_server import BUCKET, KEY, SECRET

NEVER = {"delay": 3600}
"""Machines that do not come while a test runs."""


@pytest.fixture
def bind(server, s3, tmp_path, monkeypatch):
    """Bind the vendor to names of this test alone; the service is asked at each look."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(managed, "LOOK_SECONDS", -1.0)
    server.mend()
    own = uuid.uuid4().hex[:6]
    file = tmp_path / "environment.yaml"
    file.write_text("bindings: {}\n")
    bound = []

    def make(**more):
        settings = {"image": IMAGE, "role": "arn:aws:iam::123456789012:role/ml-{team}", "region": "eu-west-1"}
        place = {"store": f"s3://{BUCKET}/{own}", "storage_options": s3.options, "name_prefix": f"t{own}"}
        settings |= {**place, "endpoints": server.hosting, "environment": file}
        bound.append(SageMakerServing(**{**settings, **more}))
        return bound[-1]

    yield make
    server.mend()
    for one in bound:
        one.close()


@pytest.fixture
def state(tmp_path):
    """Give the first state of a new model."""
    return DesiredState(new_model(), 1, served(tmp_path, "1"))


def asked_for(server, operation, serving, model):
    """Return how often an operation was asked of a model's endpoint, or of one of its plans."""
    name = serving.endpoint_name(model)
    return [said for said in server.asked(operation) if name in json.dumps(said)]


def test_what_is_asked_of_the_service(server, bind, state):
    """Model, configuration and endpoint say what the settings do; a second apply asks for nothing more."""
    server.fail("endpoint", **NEVER)
    serving = bind(
        instances=2, subnets=("subnet-1",), security_groups=("sg-1",), tags={"tenant": "acme"}, env={"A": "b"}
    )
    serving.apply(state)
    serving.apply(state)
    (model,) = asked_for(server, "CreateModel", serving, state.model)
    (config,) = asked_for(server, "CreateEndpointConfig", serving, state.model)
    (endpoint,) = asked_for(server, "CreateEndpoint", serving, state.model)
    assert model["ExecutionRoleArn"].endswith("role/ml-kit")
    assert model["PrimaryContainer"]["Image"] == IMAGE
    assert model["PrimaryContainer"]["Environment"]["A"] == "b"
    assert model["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    (variant,) = config["ProductionVariants"]
    assert (variant["InitialInstanceCount"], variant["ModelName"]) == (2, model["ModelName"])
    assert endpoint["EndpointConfigName"] == config["EndpointConfigName"] == model["ModelName"]
    assert {"Key": "tenant", "Value": "acme"} in endpoint["Tags"]
    seen = serving.observe(state.model)
    assert (seen.generation, seen.ready) == (None, False)
    assert "Creating" in seen.problem


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
@pytest.mark.parametrize("fault", [{"lost": True}, {"code": "ThrottlingException"}], ids=["lost", "throttled"])
def test_an_answer_that_was_lost_or_late_makes_nothing_twice(server, bind, state, operation, fault):
    """The client asks again, and what is there already by that name is what was asked for."""
    server.fail("endpoint", **NEVER)
    server.fail(operation, **fault)
    serving = bind()
    serving.apply(state)
    assert len(asked_for(server, operation, serving, state.model)) == 2
    assert "Creating" in serving.observe(state.model).problem


def test_a_used_up_quota_is_told_and_tried_again(server, bind, state):
    """Whoever deploys is told so in the service's words; the next look makes the endpoint, since its plan is known."""
    server.fail("endpoint", **NEVER)
    words = "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances"
    server.fail("CreateEndpoint", code="ResourceLimitExceeded", message=words)
    serving = bind()
    with pytest.raises(Overloaded, match="for endpoint usage"):
        serving.apply(state)
    seen = serving.observe(state.model)
    assert (seen.generation, seen.ready) == (None, False)
    assert "is made" in seen.problem
    assert "Creating" in serving.observe(state.model).problem


def test_an_endpoint_that_failed_stays_until_somebody_deploys(server, bind, state):
    """It says why, costs nothing more, and is made anew by the next deployment."""
    reason = "CannotStartContainerError. Please ensure the model container for variant loopline starts correctly"
    server.fail("endpoint", reason=reason)
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "has failed" in serving.observe(state.model).problem)
    for _ in range(3):
        seen = serving.observe(state.model)
        assert (seen.ready, reason in seen.problem, "deploy again" in seen.problem) == (False, True, True)
    assert len(asked_for(server, "CreateEndpoint", serving, state.model)) == 1
    server.fail("endpoint", **NEVER)
    serving.apply(state)
    assert wait_until(lambda: "Creating" in serving.observe(state.model).problem)
    assert len(asked_for(server, "CreateEndpoint", serving, state.model)) == 2


@pytest.fixture
def changing(server, bind, state):
    """Give an endpoint that serves, and its serving as a changed environment file has it: what is next goes wrong."""
    server.fail("endpoint", bare=True)
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: serving.service.look(serving.endpoint_name(state.model)).phase is Phase.SERVING)
    return bind(instances=2)


@pytest.mark.parametrize("fault", [{"reason": "no capacity"}, {"rolls_back": True}], ids=["reason", "silent"])
def test_a_change_that_failed_is_asked_for_again_when_somebody_deploys(server, bind, state, changing, fault):
    """Whether the service says why or not, and whichever process looks; the endpoint serves as before until then."""
    server.fail("endpoint", **fault)
    changing.apply(state)
    assert wait_until(lambda: "deploy again" in changing.observe(state.model).problem)
    for looking in (changing, bind(instances=2), changing):
        assert fault.get("reason", "no reason") in looking.observe(state.model).problem
    assert len(asked_for(server, "UpdateEndpoint", changing, state.model)) == 1
    server.fail("endpoint", bare=True)
    changing.apply(state)
    assert wait_until(lambda: has_come(changing, state.model))
    assert len(asked_for(server, "UpdateEndpoint", changing, state.model)) == 2


def has_come(serving, model):
    """Tell whether an endpoint serves by its plan, after one more look."""
    serving.observe(model)
    plan = serving.below(serving.group(model)).read("endpoint")[0].decode()
    seen = serving.service.look(serving.endpoint_name(model))
    return (seen.phase, seen.plan) == (Phase.SERVING, plan)


@pytest.mark.parametrize("after", [0.0, 1.0], ids=["while it changes", "when it is done"])
def test_a_lost_answer_of_a_change_is_no_failure(server, state, changing, after):
    """The client asks again, and hears that it is being changed, or that nothing is to change any more."""
    server.fail("endpoint", bare=True, delay=0.1 if after else 2.0)
    server.fail("UpdateEndpoint", lost=True, after=after)
    changing.apply(state)
    assert len(asked_for(server, "UpdateEndpoint", changing, state.model)) == 2
    assert wait_until(lambda: has_come(changing, state.model))
    assert len(asked_for(server, "UpdateEndpoint", changing, state.model)) == 2


def test_a_change_that_the_service_would_never_make_is_refused(server, state, changing):
    """Whoever deploys is told so in the service's words."""
    server.fail("UpdateEndpoint", code="ValidationException", message="Requested image x not found.")
    with pytest.raises(InvalidEnvironment, match="image x not found"):
        changing.apply(state)


def test_an_endpoint_that_somebody_deleted_is_made_again(server, bind, state):
    """A look finds it gone and makes it by its plan, by whichever process."""
    server.fail("endpoint", reason="first")
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "has failed" in serving.observe(state.model).problem)
    server.fail("endpoint", **NEVER)
    serving.service.delete(serving.endpoint_name(state.model))
    other = bind()
    assert wait_until(lambda: "Creating" in other.observe(state.model).problem)
    assert len(asked_for(server, "CreateEndpoint", serving, state.model)) == 2


def test_let_go_waits_for_what_the_service_is_doing(server, bind, state):
    """An endpoint that is being made does not end: that is refused, and the plan stays, so that it is looked after."""
    server.fail("endpoint", **NEVER)
    serving = bind()
    serving.apply(state)
    with pytest.raises(Refused, match="ask again when the service is done with it"):
        serving.let_go(state.model)
    assert serving.below(serving.group(state.model)).read("endpoint") is not None


def test_let_go_leaves_nothing(server, bind, state):
    """Endpoint, configuration and model are gone with the group's last model; said again, nothing happens."""
    server.fail("endpoint", reason="no")
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "has failed" in serving.observe(state.model).problem)
    server.fail("DeleteEndpoint", lost=True)
    assert serving.let_go(state.model)
    service, name = serving.service, serving.endpoint_name(state.model)
    assert wait_until(lambda: service.look(name).phase is Phase.ABSENT)
    assert asked_for(server, "DeleteModel", serving, state.model)
    assert asked_for(server, "DeleteEndpointConfig", serving, state.model)
    assert "is made" not in serving.observe(state.model).problem
    assert serving.let_go(state.model)
    assert len(asked_for(server, "CreateEndpoint", serving, state.model)) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"env": {"LONG": "x" * 1025}}, "LONG"),
        ({"env": {f"V{n}": "x" for n in range(100)}}, "variables"),
        ({"env": {f"V{n}": "x" * 1000 for n in range(34)}}, "bytes"),
        ({"role": "arn:aws:iam::123456789012:role/{model}"}, "role"),
    ],
)
def test_what_the_service_would_never_take_is_refused_before_anything_is_written(server, bind, state, settings, words):
    """Neither is the state left for servers, nor is the service asked."""
    serving = bind(**settings)
    with pytest.raises(InvalidEnvironment, match=words):
        serving.apply(state)
    assert serving.group_states(serving.group(state.model)).models() == set()
    assert asked_for(server, "CreateModel", serving, state.model) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"metrics_seconds": 15},
        {"endpoints": {"s3": "http://x"}},
        {"tags": {"a": "b!"}},
        {"name_prefix": "-x"},
        {"grpc_port": 8081},
        {"subnets": tuple(f"subnet-{n}" for n in range(17))},
    ],
)
def test_wrong_settings_are_refused(bind, settings):
    """When the environment file is read, by name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        bind(**settings)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("ThrottlingException", "Rate exceeded", StoreUnavailable),
        ("ResourceLimitExceeded", "limit", Overloaded),
        ("ValidationException", 'Could not find endpoint "x".', NotFound),
        ("ValidationException", "Requested image x not found.", InvalidEnvironment),
        ("AccessDeniedException", "is not authorized to perform: iam:PassRole", InvalidEnvironment),
        ("UnrecognizedClientException", "The security token is invalid", InvalidEnvironment),
        ("ExpiredTokenException", "expired", StoreUnavailable),
    ],
)
def test_refusals(code, message, error):
    """Each is one of ours: worth another try or not."""
    said = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert type(_told(ClientError(said, "CreateEndpoint"), "serving")) is error
