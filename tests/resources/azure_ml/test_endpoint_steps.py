"""How an endpoint of Azure ML comes to its plan when the service refuses, fails, or forgets to answer.

No container runs here: machines do not come before the test is over, come bare, or fail first.
"""

from __future__ import annotations

import json
import uuid
from contextlib import closing

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import InvalidEnvironment, Overloaded, Refused, StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import new_model, served, wait_until
from loopline.resources.azure_ml import endpoint_link, endpoints
from loopline.resources.azure_ml.serving import AzureMLServing
from loopline.resources.managed_endpoints import serving as managed
from loopline.resources.managed_endpoints.service import Phase
from loopline.resources.managed_jobs import retries
from tests.emulators.azure_ml_server import IMAGE, endpoint_settings

NEVER = {"delay": 3600}
"""Machines that do not come while a test runs."""
IDENTITY = "/subscriptions/1/resourceGroups/ml/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ml-{team}"


@pytest.fixture
def bind(azure_ml, signed_in, azurite, tmp_path, monkeypatch):
    """Bind the vendor to names of this test alone; the service is asked at each look, and again after a moment."""
    monkeypatch.setattr(managed, "LOOK_SECONDS", -1.0)
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(endpoint_link, "PAUSE_SECONDS", 0.02)
    azure_ml.mend()
    signed_in.token = "good"
    own = endpoint_settings(azure_ml, azurite, uuid.uuid4().hex[:6])
    file = tmp_path / "environment.yaml"
    file.write_text("bindings: {}\n")
    bound = []

    def make(**more):
        bound.append(AzureMLServing(**{**own, "environment": file, **more}))
        return bound[-1]

    yield make
    azure_ml.mend()
    for one in bound:
        one.close()


@pytest.fixture
def state(tmp_path):
    """Give the first state of a new model."""
    return DesiredState(new_model(), 1, served(tmp_path, "1"))


def asked_for(azure_ml, operation, serving, model):
    """Return how often an operation was asked of a model's endpoint."""
    name = serving.endpoint_name(model)
    return [said for said in azure_ml.asked(operation) if said["endpointName"] == name]


def is_served(serving, model):
    """Tell whether an endpoint serves by the plan that lies in the bucket, after one more look."""
    serving.observe(model)
    plan = serving.below(serving.group(model)).read("endpoint")[0].decode()
    seen = serving.service.look(serving.endpoint_name(model))
    return (seen.phase, seen.plan) == (Phase.SERVING, plan)


@pytest.fixture
def changing(azure_ml, bind, state):
    """Give an endpoint that serves, and its serving as a changed environment file has it: what is next goes wrong."""
    azure_ml.fail("deploy", bare=True)
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))
    return bind(instances=2)


def test_what_is_asked_of_the_service(azure_ml, bind, state):
    """Endpoint, environment and deployment say what the settings do; a second apply asks for nothing more."""
    azure_ml.fail("deploy", **NEVER)
    serving = bind(
        instances=2, instance_type="Standard_F4s_v2", identity=IDENTITY, private=True, tags={"a": "b"}, env={"A": "b"}
    )
    serving.apply(state)
    serving.apply(state)
    (endpoint,) = (said["body"] for said in asked_for(azure_ml, "PutEndpoint", serving, state.model))
    (deployment,) = (said["body"] for said in asked_for(azure_ml, "PutDeployment", serving, state.model))
    assert [*endpoint["identity"]["userAssignedIdentities"]] == [IDENTITY.replace("{team}", "kit")]
    assert endpoint["properties"]["publicNetworkAccess"] == "Disabled"
    assert (endpoint["properties"]["authMode"], endpoint["tags"]["a"]) == ("AADToken", "b")
    said = deployment["properties"]
    assert (said["instanceType"], deployment["sku"]["capacity"]) == ("Standard_F4s_v2", 2)
    assert (said["requestSettings"]["maxConcurrentRequestsPerInstance"], said["environmentVariables"]["A"]) == (32, "b")
    version = said["environmentId"].rpartition("/")[2]
    (image,) = (one["body"] for one in azure_ml.asked("PutEnvironment") if one["version"] == version)
    assert image["properties"]["image"] == IMAGE
    assert image["properties"]["inferenceConfig"]["scoringRoute"] == {"path": "/predict", "port": 8080}
    seen = serving.observe(state.model)
    assert (seen.generation, seen.ready) == (None, False)
    assert "is Creating" in seen.problem


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("PutEndpoint", {"lost": True}),
        ("PutDeployment", {"lost": True}),
        ("PutDeployment", {"status": 503, "code": "ServiceUnavailable"}),
    ],
)
def test_an_answer_that_was_lost_or_late_makes_nothing_twice(azure_ml, bind, state, operation, fault):
    """The service is asked again, and what is there already by that name is what was asked for."""
    azure_ml.fail("deploy", **NEVER)
    azure_ml.fail(operation, **fault)
    serving = bind()
    serving.apply(state)
    assert len(asked_for(azure_ml, operation, serving, state.model)) == 2
    assert "is Creating" in serving.observe(state.model).problem


def test_two_who_deploy_the_same_agree(azure_ml, bind, state):
    """The second finds the deployment under way; when it is done there is one, with all the traffic."""
    azure_ml.fail("deploy", bare=True, delay=0.5)
    first, second = bind(), bind()
    first.apply(state)
    second.apply(state)
    assert wait_until(lambda: is_served(second, state.model))
    assert len(second.service.link.deployments(second.endpoint_name(state.model))) == 1


def test_a_used_up_quota_is_told_and_tried_again(azure_ml, bind, state):
    """Whoever deploys is told so in the service's words; the next look deploys, since the plan is known."""
    azure_ml.fail("deploy", **NEVER)
    azure_ml.fail("PutDeployment", status=400, code="OutOfQuota", message="not enough quota for Standard_DS3_v2")
    serving = bind()
    with pytest.raises(Overloaded, match="Standard_DS3_v2"):
        serving.apply(state)
    assert "is made" in serving.observe(state.model).problem
    assert "is Creating" in serving.observe(state.model).problem


def test_a_deployment_that_failed_stays_until_somebody_deploys(azure_ml, bind, state):
    """It says why, whichever process looks, costs nothing more, and is made anew by the next deployment."""
    azure_ml.fail("deploy", reason="ImageBuildFailure: no such image")
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "has failed" in serving.observe(state.model).problem)
    for looking in (serving, bind()):
        seen = looking.observe(state.model)
        assert (seen.ready, "no such image" in seen.problem, "deploy again" in seen.problem) == (False, True, True)
    assert len(asked_for(azure_ml, "PutDeployment", serving, state.model)) == 1
    azure_ml.fail("deploy", bare=True)
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))


def test_an_endpoint_that_could_not_be_made_is_made_anew_when_somebody_deploys(azure_ml, bind, state):
    """It says why until then, and no machines are asked for."""
    azure_ml.fail("endpoint", reason="the subnet is full")
    serving = bind()
    serving.apply(state)
    assert wait_until(lambda: "the subnet is full" in serving.observe(state.model).problem)
    assert asked_for(azure_ml, "PutDeployment", serving, state.model) == []
    azure_ml.fail("deploy", bare=True)
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))


def test_traffic_that_could_not_be_led_is_led_when_somebody_deploys(azure_ml, changing, state):
    """The endpoint serves as before until then; its new machines are not asked for twice."""
    azure_ml.fail("deploy", bare=True)
    azure_ml.fail("endpoint", reason="no route")
    changing.apply(state)
    assert wait_until(lambda: "no route" in changing.observe(state.model).problem)
    assert "serves as before" in changing.observe(state.model).problem
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))
    assert len(asked_for(azure_ml, "PutDeployment", changing, state.model)) == 2


def test_what_the_fake_refuses(changing, state):
    """Traffic that names nothing or does not sum to 100, and the deletion of a deployment that has some."""
    service, name = changing.service, changing.endpoint_name(state.model)
    (one,) = service.link.deployments(name)
    with pytest.raises(endpoint_link.InTheWay, match="has traffic"):
        service.link.begin(service.link.azure_ml.online_deployments.begin_delete, name, one.name)
    put, there = service.link.azure_ml.online_endpoints.begin_create_or_update, service._found(name)
    for traffic, words in (({"d-none": 100}, "names no deployment"), ({one.name: 50}, "must be 0 or 100")):
        there.properties.traffic = traffic
        with pytest.raises(endpoint_link.InTheWay, match=words):
            service.link.begin(put, name, there)


def test_nobody_is_led_to_machines_that_are_not_there(azure_ml, changing, state):
    """The old deployment has all traffic until the new one stands ready; then its machines are given back."""
    azure_ml.fail("deploy", bare=True, delay=0.3)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))
    name, link = changing.endpoint_name(state.model), changing.service.link
    assert wait_until(lambda: changing.observe(state.model) and len(link.deployments(name)) == 1)
    led = [said["body"]["properties"]["traffic"] for said in asked_for(azure_ml, "PutEndpoint", changing, state.model)]
    assert [[*one.values()] for one in led] == [[], [100], [100]]
    assert len(asked_for(azure_ml, "DeleteDeployment", changing, state.model)) == 1


def test_traffic_is_led_back_to_machines_that_are_there_still(azure_ml, bind, changing, state, monkeypatch):
    """A change that is taken back at once needs no machines: the traffic alone changes."""
    monkeypatch.setattr(endpoints.OnlineEndpoints, "sweep", lambda *_, **__: None)  # as if nobody had looked since
    azure_ml.fail("deploy", bare=True)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))
    before = bind()
    before.apply(state)
    plan = before.below(before.group(state.model)).read("endpoint")[0].decode()
    assert wait_until(lambda: before.service.look(before.endpoint_name(state.model)).plan == plan)
    assert len(asked_for(azure_ml, "PutDeployment", before, state.model)) == 2


def test_a_change_that_failed_is_asked_for_again_when_somebody_deploys(azure_ml, bind, state, changing):
    """Whichever process looks; the endpoint serves as before until then."""
    azure_ml.fail("deploy", reason="no capacity")
    changing.apply(state)
    assert wait_until(lambda: "deploy again" in changing.observe(state.model).problem)
    for looking in (changing, bind(instances=2)):
        assert "no capacity" in looking.observe(state.model).problem
    assert len(asked_for(azure_ml, "PutDeployment", changing, state.model)) == 2
    azure_ml.fail("deploy", bare=True)
    changing.apply(state)
    assert wait_until(lambda: is_served(changing, state.model))


def test_a_change_that_the_service_would_never_make_is_refused(azure_ml, state, changing):
    """Whoever deploys is told so in the service's words."""
    azure_ml.fail("PutDeployment", status=400, code="BadArgument", message="Instance type n9 is not supported.")
    with pytest.raises(InvalidEnvironment, match="n9"):
        changing.apply(state)


@pytest.mark.parametrize("more", [{"identity": IDENTITY}, {"auth": "key"}], ids=["identity", "auth"])
def test_what_an_endpoint_keeps_is_not_changed(azure_ml, bind, state, changing, more):
    """It is refused with what to do instead, and the endpoint goes on by its plan."""
    with pytest.raises(InvalidEnvironment, match="retire its models"):
        bind(**more).apply(state)
    assert is_served(bind(), state.model)
    assert len(asked_for(azure_ml, "PutDeployment", changing, state.model)) == 1


def test_an_endpoint_that_somebody_deleted_is_made_again(azure_ml, bind, state, changing):
    """A look finds it gone and makes it by its plan, by whichever process."""
    changing.service.delete(changing.endpoint_name(state.model))
    assert wait_until(lambda: changing.service.look(changing.endpoint_name(state.model)).phase is Phase.ABSENT)
    azure_ml.fail("deploy", bare=True)
    other = bind()
    assert wait_until(lambda: is_served(other, state.model))
    assert len(asked_for(azure_ml, "PutDeployment", other, state.model)) == 2


def test_let_go_waits_for_what_the_service_is_doing(azure_ml, bind, state):
    """An endpoint that is being made does not end: that is refused, and the plan stays, so that it is looked after."""
    azure_ml.fail("deploy", **NEVER)
    serving = bind()
    serving.apply(state)
    with pytest.raises(Refused, match="ask again when the service is done with it"):
        serving.let_go(state.model)
    assert serving.below(serving.group(state.model)).read("endpoint") is not None


def test_let_go_leaves_nothing(azure_ml, state, changing):
    """Endpoint, deployments and plans are gone with the group's last model; said again, nothing happens."""
    azure_ml.fail("DeleteEndpoint", lost=True)
    assert changing.let_go(state.model)
    service, name = changing.service, changing.endpoint_name(state.model)
    assert wait_until(lambda: service.look(name).phase is Phase.ABSENT)
    assert changing.below(endpoints._PLANS).listed(name) == []
    assert "is made" not in changing.observe(state.model).problem
    assert changing.let_go(state.model)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            {"status": 403, "code": "AuthorizationFailed", "message": "'onlineEndpoints/read' denied"},
            InvalidEnvironment,
        ),
        ({"status": 404, "code": "ResourceGroupNotFound", "message": "no group"}, InvalidEnvironment),
        ({"status": 503, "code": "ServiceUnavailable", "times": 500}, StoreUnavailable),
        ({"status": 429, "code": "TooManyRequests", "times": 500}, StoreUnavailable),
    ],
    ids=["denied", "elsewhere", "away", "throttled"],
)
def test_refusals(azure_ml, bind, state, fault, error):
    """Each is one of ours: worth another try or not."""
    serving = bind(api_patience_seconds=0.2)
    azure_ml.fail("GetEndpoint", **fault)
    with pytest.raises(error):
        serving.service.look(serving.endpoint_name(state.model))


def test_a_strangers_token_is_refused(azure_ml, signed_in, bind, state):
    """Nothing is made, and it is told who has to act."""
    signed_in.token = "bad"
    serving = bind()
    with pytest.raises(InvalidEnvironment, match="identity"):
        serving.apply(state)
    assert asked_for(azure_ml, "PutEndpoint", serving, state.model) == []


def test_an_endpoint_is_asked_by_its_key_where_that_is_said(azure_ml, bind, state):
    """The key is asked for as this identity, and once more after it was refused."""
    azure_ml.fail("deploy", bare=True)
    serving = bind(auth="key")
    serving.apply(state)
    assert wait_until(lambda: is_served(serving, state.model))
    with (
        closing(bind(auth="key", endpoint_group="never").caller(state.model)) as caller,
        pytest.raises(StoreUnavailable, match="deploy the model"),
    ):
        caller.ask(b"{}")
    with closing(serving.caller(state.model)) as caller:
        for words in ("503", "503"):
            with pytest.raises(StoreUnavailable, match=words):  # it was let in: no machine is there
                caller.ask(b"{}")
        assert len(asked_for(azure_ml, "ListKeys", serving, state.model)) == 1
        azure_ml.fail("Score", status=401, code="Unauthorized")
        with pytest.raises(InvalidEnvironment, match="score/action"):
            caller.ask(b"{}")
        with pytest.raises(StoreUnavailable):
            caller.ask(b"{}")
    assert len(asked_for(azure_ml, "ListKeys", serving, state.model)) == 2


def test_a_name_is_this_workspace_s_alone_and_short_enough(bind):
    """Azure knows one endpoint of a name within a region, of 32 characters."""
    names = [
        bind(name_prefix="l", endpoint_group=group, workspace=workspace).endpoint_name("a.b")
        for group in ("x", "r" * 90, "{team}.{model}")
        for workspace in ("one", "two")
    ]
    assert len({*names}) == 6
    assert max(map(len, names)) <= 32


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoints": {"blob": "http://x"}},
        {"tags": {"a": "b" * 300}},
        {"location": "west europe"},
        {"identity": "a-client-id"},
        {"request_seconds": 181},
        {"auth": "none"},
        {"grpc_port": 8081},
    ],
)
def test_wrong_settings_are_refused(bind, settings):
    """When the environment file is read, by name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        bind(**settings)


def test_a_plan_says_the_same_whoever_writes_it(bind, state):
    """What is sent of it leaves it as it is: its name is the digest of its content."""
    serving = bind()
    plan = serving._wanted_plan(state.model)
    before = plan.name
    serving.service.lay(plan)
    kept = json.loads(serving.below(endpoints._PLANS).read(f"{plan.endpoint}/{before}")[0])
    assert (plan.name, kept) == (before, plan.content)
