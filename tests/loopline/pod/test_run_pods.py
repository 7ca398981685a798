"""Teams whose runs are pods, on a real cluster: what goes where, and what a pod's death does to its run."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
import yaml
from kubernetes import client

from loopline.graphql import Dagster
from loopline.up.ports import free_port
from scripts.cluster import images
from scripts.cluster.python_layer import interpreter
from tests.cluster import killing
from tests.cluster.let_in import let_in
from tests.loopline.pod.test_pods import Pods, states, until
from tests.s3_server import KEY, SECRET

pytestmark = pytest.mark.timeout(1800)
ENVIRONMENT = """
name: apart
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_STORE}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing"}
  engine: {vendor: polars}
  registry: {vendor: mlflow, tracking_uri: "http://127.0.0.1:9", artifacts: "mlflow-artifacts:/loopline"}
  compute: {vendor: in_process}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: 1}
  drift_report: {vendor: evidently}
ledger: "${LOOPLINE_LEDGER}"
dagster:
  storage: "${LOOPLINE_DAGSTER_STORAGE}"
  run_pods: run-pods.yaml
"""
POSTGRESQL, STORE = 5433, 8335
"""Ports of the node that lead to servers outside."""
JOB = "loopline_lake_care"
EVENTS = """
query ($run: ID!) {logsForRun(runId: $run) {... on EventConnection {events {
  ... on MessageEvent {message} ... on ErrorEvent {error {message}} ... on EngineEvent {error {message}}}}}}"""
TAGS = """
query ($run: ID!) {runOrError(runId: $run) {... on Run {tags {key value}}}}"""
RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "delete"]},
    {"apiGroups": ["batch"], "resources": ["jobs/status"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]


@pytest.fixture
def chosen(cluster, team_namespace):
    """Say of a team's pods what the chart says; each call gives a version of it."""

    def say(**more):
        own = {
            "image": images.NAME,
            "image_pull_policy": "Never",
            "python": str(interpreter()),
            "namespace": team_namespace,
            "service_account": "code",
            "environment_from": ["stores"],
            "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"memory": "1Gi"}},
        }
        return {"retail": {**own, **more}}

    return say


@pytest.fixture
def pods(  # noqa: PLR0913, PLR0917 - each of them a real part
    cluster, kubernetes_api, kubernetes_core, team_namespace, chosen, tmp_path, new_database, postgresql, own_s3_server,
    monkeypatch,
):  # fmt: skip
    """Start Dagster's parts outside of the cluster; what a run's pod needs lies in its team's namespace."""
    outside = {"LOOPLINE_DAGSTER_STORAGE": new_database(), "LOOPLINE_LEDGER": new_database()}
    place = own_s3_server.place()
    with ExitStack() as stack:
        database = stack.enter_context(let_in(cluster, POSTGRESQL, f"{postgresql}/.s.PGSQL.5432"))
        store = stack.enter_context(let_in(cluster, STORE, int(own_s3_server.url.rpartition(":")[2])))
        signs_in = {"LOOPLINE_STORE": place, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        signs_in |= {"AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
        inside = {
            name: url.replace(f"/postgres?host={postgresql}&", f"{database}/postgres?") for name, url in outside.items()
        }
        stores = {**signs_in, **inside, "AWS_ENDPOINT_URL": f"http://{store}"}
        where = team_namespace
        kubernetes_core.create_namespaced_secret(where, {"metadata": {"name": "stores"}, "stringData": stores})
        data = {"environment.yaml": ENVIRONMENT, "run-pods.yaml": yaml.safe_dump(chosen(steps=True))}
        kubernetes_core.create_namespaced_config_map(
            where, {"metadata": {"name": "loopline-environment"}, "data": data}
        )
        kubernetes_core.create_namespaced_service_account(where, {"metadata": {"name": "code"}})
        rbac = client.RbacAuthorizationV1Api(kubernetes_api)
        rbac.create_namespaced_role(where, {"metadata": {"name": "runs"}, "rules": RULES})
        subject = {"kind": "ServiceAccount", "name": "code", "namespace": where}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runs"}
        rbac.create_namespaced_role_binding(
            where, {"metadata": {"name": "runs"}, "subjects": [subject], "roleRef": role}
        )
        for name, value in {**signs_in, **outside, "AWS_ENDPOINT_URL": own_s3_server.url}.items():
            monkeypatch.setenv(name, value)
        found = Pods(tmp_path, ENVIRONMENT)
        stack.callback(lambda: [found.kill(name) for name in list(found.running)])
        yield found


def said(dagster, run):
    """Return what Dagster's pages show of a run."""
    events = dagster.ask(EVENTS, run=run)["logsForRun"]["events"]
    return "\n".join(f"{event.get('message', '')} {(event.get('error') or {}).get('message', '')}" for event in events)


def jobs(api, namespace):
    """Return the Jobs of a namespace by what Dagster says they are."""
    found = client.BatchV1Api(api).list_namespaced_job(namespace).items
    return sorted(one.metadata.labels["app.kubernetes.io/component"] for one in found)


def test_a_heavy_team_s_runs_are_pods_and_a_light_one_s_are_not(  # noqa: PLR0913, PLR0915, PLR0917
    pods, chosen, cluster, kubernetes_api, kubernetes_core, team_namespace, own_s3_server
):
    """The choice is read at each start: a run as a pod, its steps as pods, what a quota refuses, a pod that dies."""
    choices = pods.folder / "run-pods.yaml"

    def choose(**more):
        choices.write_text(yaml.safe_dump(chosen(kubeconfig=str(cluster.kubeconfig), **more)))

    choose()
    ports = {name: free_port() for name in ("retail", "loopline", "web")}
    web = ports.pop("web")
    pods.locate(**ports)
    for name, port in ports.items():
        pods.start(f"code-{name}", "code-server", name, "--port", str(port))
    pods.start("web", "web-server", "--open", "--port", str(web))
    pods.start("daemon", "daemon")
    dagster = Dagster(f"http://127.0.0.1:{web}/graphql")
    until(lambda: set(states(dagster).values()) == {"loaded"}, lambda: pods.said("web"), 300)

    light, heavy = dagster.launch("loopline", JOB), dagster.launch("retail", JOB)
    assert dagster.wait(light) == "SUCCESS", said(dagster, light)
    assert dagster.wait(heavy) == "SUCCESS", said(dagster, heavy)
    assert jobs(kubernetes_api, team_namespace) == ["run_worker"]
    tags = {one["key"]: one["value"] for one in dagster.ask(TAGS, run=heavy)["runOrError"]["tags"]}
    assert tags["loopline/pod"] == team_namespace
    tags = {one["key"] for one in dagster.ask(TAGS, run=light)["runOrError"]["tags"]}
    assert "loopline/pod" not in tags

    choose(jobs=["loopline_cycle"])  # nothing is started anew for that
    assert dagster.wait(dagster.launch("retail", JOB)) == "SUCCESS"
    assert jobs(kubernetes_api, team_namespace) == ["run_worker"]

    choose(steps=True)
    run = dagster.launch("retail", JOB)
    assert dagster.wait(run) == "SUCCESS", said(dagster, run)
    assert jobs(kubernetes_api, team_namespace) == ["run_worker"] * 2 + ["step_worker"] * 2

    choose()
    asked = {"container_config": {"security_context": {"privileged": True}}}
    run = dagster.launch("retail", JOB, {"dagster-k8s/config": json.dumps(asked)})
    assert dagster.wait(run) == "FAILURE"
    assert "violated the allowed list: container_config.security_context" in said(dagster, run)

    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/jobs.batch": "4"}}}
    kubernetes_core.create_namespaced_resource_quota(team_namespace, quota)
    quotas = kubernetes_core.read_namespaced_resource_quota_status
    until(lambda: quotas("few", team_namespace).status.used, lambda: "no quota is counted")
    run = dagster.launch("retail", JOB)
    assert dagster.wait(run) == "FAILURE"
    assert "exceeded quota: few" in said(dagster, run)
    kubernetes_core.delete_namespaced_resource_quota("few", team_namespace)

    own_s3_server.stop()  # so that the run has something to wait for
    try:
        run = dagster.launch("retail", JOB)
        until(lambda: dagster.run_status(run) == "STARTED", lambda: said(dagster, run), 300)
        of_run = f"dagster/run-id={run}"
        (pod,) = kubernetes_core.list_namespaced_pod(team_namespace, label_selector=of_run).items
        killing.kill(pod, pod.spec.containers[0].name)  # it has no time to tell of it
        assert dagster.wait(run, 120) == "FAILURE"  # monitoring looks every ten seconds
        assert "K8s job" in said(dagster, run)
    finally:
        own_s3_server.go_on()
