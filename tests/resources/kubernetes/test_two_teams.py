"""Two teams on one cluster, each with the guide's rights and the chart's policies: neither reaches the other's."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest
from kubernetes import client, config

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Refused
from loopline.platform_core.testing.compute import MEET, PAIR, TALK, TINY
from loopline.resources.kubernetes.names import job_name
from scripts.cluster.python_layer import interpreter
from tests.cluster import chart_policies, endpoints_in_pods
from tests.deploy.helm_chart import LEAST

pytestmark = pytest.mark.timeout(600)
TEAMS = ("north", "south")
NUMBERS = count(1)
RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events", "resourcequotas", "limitranges"], "verbs": ["list"]},
]
PORT = 6379
"""One that these values let every task reach anywhere, as Redis': what denies is the other team's namespace."""
LISTEN = f"""
import socket
listener = socket.create_server(("", {PORT}))
while True:
    listener.accept()[0].close()
"""
KNOCK = f"""
import socket, sys, time
def knock():
    try:
        socket.create_connection((sys.argv[1], {PORT}), 2).close()
    except OSError:
        return "denied"
    return "reached"
end = time.monotonic() + 60  # a pod's policies hold a moment after it has begun
while any(knock() != sys.argv[2] for _ in range(3)):
    if time.monotonic() > end:
        sys.exit(1)
    time.sleep(0.2)  # between two looks: what is looked at tells nobody
"""


@pytest.fixture(scope="module")
def teams(kubernetes_api, kubernetes_core, cluster, tmp_path_factory):
    """Give each team a namespace, a secret, and an account with the rights of the guide: its kubeconfig by team."""
    rbac, found = client.RbacAuthorizationV1Api(kubernetes_api), {}
    for team in TEAMS:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        kubernetes_core.create_namespace({"metadata": {"name": f"ml-{team}", "labels": labels}})
        where = f"ml-{team}"
        kubernetes_core.create_namespaced_service_account(where, {"metadata": {"name": "code"}})
        secret = {"metadata": {"name": f"{team}-stores"}, "stringData": {"PASSWORD": f"of-{team}"}}
        kubernetes_core.create_namespaced_secret(where, secret)
        rbac.create_namespaced_role(where, {"metadata": {"name": "compute"}, "rules": RULES})
        subject = {"kind": "ServiceAccount", "name": "code", "namespace": where}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "compute"}
        binding = {"metadata": {"name": "compute"}, "subjects": [subject], "roleRef": role}
        rbac.create_namespaced_role_binding(where, binding)
        file = tmp_path_factory.mktemp("signed-in") / f"{team}.json"
        found[team] = endpoints_in_pods.signed_in(kubernetes_core, cluster, where, "code", file)
    write_policies(kubernetes_api)
    yield found
    for team in TEAMS:
        kubernetes_core.delete_namespace(f"ml-{team}")


def write_policies(api):
    """Make the policies that the chart writes for two teams in these namespaces."""
    places = {team: f"ml-{team}" for team in TEAMS}
    named = {team: {"namespace": namespace} for team, namespace in places.items()}
    values = {**LEAST, "teams": named, "stores": {**LEAST["stores"], "redis": {"cidrs": ["0.0.0.0/0"]}}}
    chart_policies.write(api, values, places.values())


@pytest.fixture
def of_team(kubernetes_compute, teams):
    """Bind a compute as a team does."""

    def bind(team, **settings):
        signed_in = {"kubeconfig": teams[team], "namespace": f"ml-{team}", "claims": {}}
        return kubernetes_compute(**{**signed_in, **settings})

    return bind


@pytest.fixture
def signed_in(teams):
    """Sign in as a team's account."""
    return lambda team: config.new_client_from_config(str(teams[team]))


def test_the_rights_of_the_guide_are_enough(of_team, kubernetes_core):
    """A task, a gang, a log, and an end to what runs: no right beyond the team's own namespace is asked for."""
    compute = of_team("north")
    assert compute.run("os:getpid", {}, TINY, "first") == 1
    assert compute.run(MEET, {"folder": "/tmp"}, PAIR, "gang")["heard"] == [0, 1]
    with at_work(compute, "ends") as waiting:
        until(lambda: running(kubernetes_core, "north", "ends"))
        compute.cancel("ends")
        with pytest.raises(Refused, match="cancelled"):
            waiting.result(60)


def test_a_team_reaches_no_other_teams_jobs(of_team, signed_in, kubernetes_core):
    """Neither to see, nor to end, nor to start them; not even their names."""
    south, north = of_team("south"), signed_in("north")
    with at_work(south, "private") as waiting:
        (pod,) = until(lambda: running(kubernetes_core, "south", "private"))
        with pytest.raises(InvalidEnvironment, match="forbidden"):
            of_team("north", namespace="ml-south").run("os:getpid", {}, TINY, "intruder")
        batch, core = client.BatchV1Api(north), client.CoreV1Api(north)
        for call, args in (
            (batch.list_namespaced_job, ("ml-south",)),
            (batch.list_job_for_all_namespaces, ()),
            (batch.read_namespaced_job, (job_name("private"), "ml-south")),
            (batch.delete_namespaced_job, (job_name("private"), "ml-south")),
            (core.list_namespaced_pod, ("ml-south",)),
            (core.list_pod_for_all_namespaces, ()),
            (core.read_namespaced_pod_log, (pod.metadata.name, "ml-south")),
            (core.patch_namespaced_pod, (pod.metadata.name, "ml-south", {"metadata": {"labels": {"a": "b"}}})),
            (core.read_namespaced_secret, ("south-stores", "ml-south")),
            (core.list_secret_for_all_namespaces, ()),
            (core.read_namespaced_secret, ("north-stores", "ml-north")),
        ):
            with pytest.raises(client.ApiException) as refused:
                call(*args)
            assert refused.value.status == 403, call.__name__
        of_team("north").cancel("private")
        assert running(kubernetes_core, "south", "private")
        south.cancel("private")
        with pytest.raises(Refused):
            waiting.result(60)


def test_a_team_reaches_no_other_teams_pods(of_team, kubernetes_api, kubernetes_core):
    """A task's pod is reached by its own team's tasks, and by another team's only once the policies are gone."""
    north, south = of_team("north"), of_team("south")
    with at_work(south, "listener", "subprocess:call", args=[str(interpreter()), "-c", LISTEN]) as waiting:
        (pod,) = until(lambda: running(kubernetes_core, "south", "listener"))
        address = pod.status.pod_ip
        assert comes_to(south, "reached", address)
        assert comes_to(north, "denied", address)
        for team in TEAMS:
            client.NetworkingV1Api(kubernetes_api).delete_collection_namespaced_network_policy(f"ml-{team}")
        try:
            assert comes_to(north, "reached", address)
        finally:
            write_policies(kubernetes_api)
        south.cancel("listener")
        with pytest.raises(Refused):
            waiting.result(60)


def comes_to(compute, expected, address):
    """Say whether a task of a team comes to reach an address, or to be denied it."""
    command = [str(interpreter()), "-c", KNOCK, address, expected]
    return compute.run("subprocess:call", {"args": command}, TINY, f"knocks-{next(NUMBERS)}") == 0


def test_a_teams_task_gets_its_own_secrets_and_no_token(of_team):
    """What it is given by name is of its own namespace; to the API it is nobody."""
    north = of_team("north", environment_from=("north-stores",))
    assert north.run("os:getenv", {"key": "PASSWORD"}, TINY, "own") == "of-north"
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert north.run("os.path:exists", {"path": token}, TINY, "token") is False


def test_a_team_names_another_teams_secret_or_data_in_vain(of_team, kubernetes_core):
    """There is nothing of that name in its namespace, and the error says so."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim |= {"storageClassName": ""}
    kubernetes_core.create_namespaced_persistent_volume_claim(
        "ml-south", {"metadata": {"name": "south-data"}, "spec": claim}
    )
    with pytest.raises(InvalidEnvironment, match="south-stores"):
        of_team("north", environment_from=("south-stores",), waiting="fail").run("os:getpid", {}, TINY, "secret")
    with pytest.raises(LooplineError, match="south-data"):
        of_team("north", claims={"south-data": "/mnt/data"}, waiting="fail").run("os:getpid", {}, TINY, "data")


@contextmanager
def at_work(compute, key, task=TALK, **given):
    """Have a task run for long, one that talks unless another is named."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(compute.run, task, given or {"lines": 1000, "pause_seconds": 0.5}, TINY, key)


def running(core, team, key):
    """Return the pods of a key that run."""
    labels = f"batch.kubernetes.io/job-name={job_name(key)}"
    found = core.list_namespaced_pod(f"ml-{team}", label_selector=labels).items
    return [pod for pod in found if pod.status.phase == "Running"]


def until(holds, seconds=120):
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)  # between two looks: what is looked at tells nobody
    return found
