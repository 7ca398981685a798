"""The chart on a real cluster: tested, upgraded under load, rolled back; what was known stays known."""

from __future__ import annotations

import threading
import urllib.request
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from helm_python import HelmError
from kubernetes import client

from loopline.graphql import Dagster
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.resources.kubernetes.names import MANAGED, SERVING
from tests.cluster import knocking
from tests.cluster.installed_chart import CHART, NAMESPACE, READY_SECONDS, RELEASE, values, wait_until_ready

pytestmark = pytest.mark.timeout(1800)
MATERIALIZED = """
{assetOrError(assetKey: {path: ["retail", "kept"]}) {... on Asset {assetMaterializations(limit: 10) {runId}}}}"""


def test_it_is_installed_and_every_part_answers(installation):
    """``helm test`` passes, and its pod says so part by part; notes say what to do next."""
    assert installation.release["name"] == RELEASE
    assert "helm test loopline -n mlops" in installation.helm.get_all(RELEASE)["info"]["notes"]
    said = installation.helm.test(RELEASE, timeout=READY_SECONDS, logs=True)["logs"]
    for part in ("loopline", "retail", "kiln", "daemon", "/metrics", "/health"):
        assert f"{part} answers" in said


def test_a_kind_that_the_cluster_does_not_know_is_asked_for_before_anything_is_made(installation, kubernetes_api):
    """By the value that wants it; nothing of that release is there."""
    wanted = values({"monitoring": {"rules": {"enabled": True}}})
    with pytest.raises(HelmError, match=r"monitoring.rules.enabled: this cluster knows no .*PrometheusRule"):
        installation.helm.install(CHART, "another", wanted)
    selector = "app.kubernetes.io/instance=another"
    assert client.AppsV1Api(kubernetes_api).list_deployment_for_all_namespaces(label_selector=selector).items == []


def test_an_upgrade_and_its_rollback_lose_no_request_and_nothing_that_was_known(installation, kubernetes_api):
    """Every pod is another one twice; the web server answers all the while; events and ledger are what they were."""
    web, helmed = installation.web, installation.helm
    dagster = Dagster(f"{web}/graphql")
    report(f"{web}/report_asset_materialization/retail/kept")
    ledger = Ledger.open(installation.outside.ledger)
    ledger.record(Entry("model.noted", datetime.now(UTC), "retail", "cancellations", reason="before the upgrade"))
    known = ledger.entries()
    before = pod_names(kubernetes_api)
    with asking(f"{web}/server_info") as answers:
        newer = values({"environment": {"variables": {"LOOPLINE_MODELS_URL": "https://models.test"}}})
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


def test_parts_are_reached_by_whom_the_policies_name(installation, cluster, kubernetes_core):
    """By a gateway's and a scraper's pods on the ports that are theirs; by no task of a team, and by nobody else."""
    where = {"gateways": "gateways", "monitoring": "monitoring", "anybody": "elsewhere", "task": f"{NAMESPACE}-retail"}
    parts = {
        "webserver": f"{RELEASE}-webserver.{NAMESPACE}.svc.cluster.local:3000",
        "portal": f"{RELEASE}-portal.{NAMESPACE}.svc.cluster.local:8790",
        "features": f"{RELEASE}-features.{NAMESPACE}.svc.cluster.local:8090",
        "code": f"{RELEASE}-code-kiln.{NAMESPACE}-kiln.svc.cluster.local:4000",
        "endpoint": f"endpoint.{NAMESPACE}-serving.svc.cluster.local:{knocking.PORT}",
    }
    reached = {"gateways": {"features", "endpoint"}, "monitoring": {"portal", "features", "endpoint"}}
    knocking.start(kubernetes_core, cluster, f"{NAMESPACE}-serving", "endpoint", SERVING)
    for name in ("gateways", "monitoring", "elsewhere"):
        kubernetes_core.create_namespace({"metadata": {"name": name}})
    for who, namespace in where.items():
        knocker = knocking.start(kubernetes_core, cluster, namespace, labels=MANAGED if who == "task" else {})
        for part, place in parts.items():
            expected = knocking.REACHED if part in reached.get(who, ()) else knocking.DENIED
            host, _, port = place.partition(":")
            assert knocker.comes_to(expected, host, int(port)), f"{part} by {who}: not {expected}"
    for name in ("gateways", "monitoring", "elsewhere"):
        kubernetes_core.delete_namespace(name)
    for name, namespace in (("endpoint", f"{NAMESPACE}-serving"), ("knocker", f"{NAMESPACE}-retail")):
        kubernetes_core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
        kubernetes_core.delete_namespaced_service(name, namespace)


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
