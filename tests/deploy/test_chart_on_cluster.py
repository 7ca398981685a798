"""The chart on a real cluster: installed, tested, upgraded under load, rolled back; what was known stays known."""

from __future__ import annotations

import shutil
import threading
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import helm_python as helm
import psycopg2
import pytest
import yaml
from kubernetes import client

from loopline.graphql import Dagster
from loopline.platform_core.loop.ledger import Entry, Ledger
from scripts.cluster import images
from scripts.cluster.python_layer import interpreter
from tests.cluster.let_in import let_in
from tests.deploy.helm_chart import CHART, merged
from tests.s3_server import KEY, SECRET

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
NAMESPACE, RELEASE = "mlops", "loopline"
READY_SECONDS = 600
POSTGRESQL, REDIS, STORE, WEB = 5432, 6379, 8334, 30080
"""Ports of the node: the first three lead to servers outside, the last from outside to the web server."""
PROFILE = yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text())
REPOSITORY, _, TAG = images.NAME.partition(":")
VALUES = merged(
    PROFILE,
    {
        "image": {"repository": REPOSITORY, "tag": TAG, "python": str(interpreter())},
        "teams": {"retail": {}},
        "webserver": {"replicas": 2},
        "environment": {"variables": {"SSL_CERT_FILE": f"{images.SITE}/certifi/cacert.pem"}},
    },
)

MATERIALIZED = """
{assetOrError(assetKey: {path: ["retail", "kept"]}) {... on Asset {assetMaterializations(limit: 10) {runId}}}}"""


@pytest.fixture(scope="module")
def secret(cluster, postgresql, redis_server, s3_server):
    """Let pods reach real servers, and give what a Secret says of them."""
    with ExitStack() as doors:
        database = doors.enter_context(let_in(cluster, POSTGRESQL, f"{postgresql}/.s.PGSQL.5432"))
        redis = doors.enter_context(let_in(cluster, REDIS, redis_server.port))
        store = doors.enter_context(let_in(cluster, STORE, int(s3_server.url.rpartition(":")[2])))
        connection = psycopg2.connect(host=postgresql, user="loopline", dbname="postgres")
        connection.autocommit = True
        for name in ("chart_dagster", "chart_ledger"):
            connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        yield {
            "LOOPLINE_DAGSTER_STORAGE": f"postgresql://loopline@{database}/chart_dagster",
            "LOOPLINE_LEDGER": f"postgresql+psycopg2://loopline@{database}/chart_ledger",
            "LOOPLINE_STORE": f"s3://{s3_server.place().partition('://')[2]}",
            "LOOPLINE_REDIS": f"redis://{redis}/3",
            "LOOPLINE_MLFLOW": "http://127.0.0.1:9",  # asked when a model is trained, which none is here
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{store}",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }


@pytest.fixture(scope="module")
def helmed(cluster):
    """Give Helm, signed in to the cluster."""
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=NAMESPACE) as found:
        yield found


@pytest.fixture(scope="module")
def installed(helmed, kubernetes_api, kubernetes_core, secret, tmp_path_factory):
    """Install the chart as an older version of it, as somebody would who follows the page; wait until all is ready."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubernetes_core.create_namespace({"metadata": {"name": NAMESPACE, "labels": labels}})
    older = tmp_path_factory.mktemp("older") / "loopline"
    shutil.copytree(CHART, older)
    chart = older / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 0.1.0", "version: 0.0.9"))
    release = helmed.install(older, RELEASE, VALUES)
    for namespace in (NAMESPACE, f"{NAMESPACE}-retail", f"{NAMESPACE}-serving"):
        stores = {"metadata": {"name": "loopline-stores"}, "stringData": secret}
        kubernetes_core.create_namespaced_secret(namespace, stores)
    wait_until_ready(kubernetes_api)
    return release


@pytest.fixture(scope="module")
def web(installed, cluster, kubernetes_core):
    """Let the web server's Service be reached from outside, and give its address."""
    labels = {"app.kubernetes.io/name": "webserver", "app.kubernetes.io/instance": RELEASE}
    spec = {"type": "NodePort", "selector": labels, "ports": [{"port": 3000, "nodePort": WEB}]}
    kubernetes_core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "outside"}, "spec": spec})
    url, end = f"http://127.0.0.1:{cluster.ports[str(WEB)]}", time.monotonic() + 60
    while True:  # until the node knows the port
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=30).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.5)
        else:
            return url


def wait_until_ready(api):
    """Wait until every Deployment of the release has what it wants, of its newest form."""
    apps, end = client.AppsV1Api(api), time.monotonic() + READY_SECONDS
    selector = f"app.kubernetes.io/instance={RELEASE}"
    while waiting := [
        one for one in apps.list_deployment_for_all_namespaces(label_selector=selector).items if lacks(one)
    ]:
        if time.monotonic() > end:
            pytest.fail(f"not ready: {[one.metadata.name for one in waiting]}: {why(client.CoreV1Api(api))}")
        time.sleep(1)


def lacks(deployment):
    """Say whether a Deployment has not what it wants yet."""
    status, wanted = deployment.status, deployment.spec.replicas
    is_new = (status.observed_generation or 0) >= deployment.metadata.generation
    return not is_new or not (status.available_replicas == status.updated_replicas == status.replicas == wanted)


def why(core):
    """Tell what pods that are not ready say."""
    found = {}
    for pod in core.list_pod_for_all_namespaces(label_selector=f"app.kubernetes.io/instance={RELEASE}").items:
        for status in pod.status.container_statuses or ():
            if not status.ready:
                said = status.state.waiting or status.state.terminated or "running"
                found[pod.metadata.name, status.name] = (said, log(core, pod, status.name))
    return found


def log(core, pod, container):
    """Return the end of a container's log, if there is one."""
    try:
        where = {"container": container, "tail_lines": 20}
        return core.read_namespaced_pod_log(pod.metadata.name, pod.metadata.namespace, **where)
    except client.ApiException as error:
        return error.reason


def test_it_is_installed_and_every_part_answers(installed, helmed):
    """``helm test`` passes, and its pod says so part by part; notes say what to do next."""
    assert installed["name"] == RELEASE
    assert "helm test loopline -n mlops" in helmed.get_all(RELEASE)["info"]["notes"]
    said = helmed.test(RELEASE, timeout=READY_SECONDS, logs=True)["logs"]
    for part in ("loopline", "retail", "daemon", "/metrics", "/health"):
        assert f"{part} answers" in said


def test_an_upgrade_and_its_rollback_lose_no_request_and_nothing_that_was_known(
    installed, helmed, kubernetes_api, web, postgresql
):
    """Every pod is another one twice; the web server answers all the while; events and ledger are what they were."""
    dagster = Dagster(f"{web}/graphql")
    report(f"{web}/report_asset_materialization/retail/kept")
    ledger = Ledger.open(f"postgresql+psycopg2://loopline@/chart_ledger?host={postgresql}")
    ledger.record(Entry("model.noted", datetime.now(UTC), "retail", "cancellations", reason="before the upgrade"))
    known = ledger.entries()
    before = pod_names(kubernetes_api)
    with asking(f"{web}/server_info") as answers:
        newer = merged(VALUES, {"environment": {"variables": {"LOOPLINE_MODELS_URL": "https://models.test"}}})
        helmed.upgrade(CHART, RELEASE, newer)
        wait_until_ready(kubernetes_api)
        upgraded = pod_names(kubernetes_api)
        assert materialized(dagster) == 1
        helmed.rollback(RELEASE, version=1)
        wait_until_ready(kubernetes_api)
    assert not before & upgraded
    assert not upgraded & pod_names(kubernetes_api)
    assert set(answers) == {200}
    assert answers[200] > 50
    assert materialized(dagster) == 1
    assert ledger.entries()[: len(known)] == known
    ledger.close()
    assert [one["status"] for one in helmed.history(RELEASE)] == ["superseded", "superseded", "deployed"]
    helmed.test(RELEASE, timeout=READY_SECONDS)


def pod_names(api):
    """Return the processes' pods that are not on their way out; the one of ``helm test`` stays as it is."""
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/name!=test"
    pods = client.CoreV1Api(api).list_pod_for_all_namespaces(label_selector=selector)
    return {one.metadata.name for one in pods.items if not one.metadata.deletion_timestamp}


def report(url):
    """Tell Dagster of a materialization, as a tool outside does."""
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def materialized(dagster):
    """Return how often the asset was reported, as the web server knows."""
    found = dagster.ask(MATERIALIZED)["assetOrError"]
    return len(found["assetMaterializations"])


@contextmanager
def asking(url):
    """Ask all the while, each time by a connection of its own; gives how often each status was the answer."""
    answers, stop = Counter(), threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with urllib.request.urlopen(url, timeout=30) as answer:
                    answers[answer.status] += 1
            except OSError as error:
                answers[str(error)] += 1
            stop.wait(0.1)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield answers
    finally:
        stop.set()
        asker.join()
