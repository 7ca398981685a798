"""The chart from ``helm install`` until every part is available, and Dagster's own web server alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import helm_python as helm
import yaml

from benchmarks.cluster.site import NAMESPACE, Site, until
from scripts.cluster import images
from scripts.cluster.python_layer import interpreter
from scripts.cluster.settings import NODE_ADDRESS
from tests.cluster.endpoints_in_pods import BUCKET, storage
from tests.cluster.installed_chart import REACHED
from tests.cluster.kubernetes_cluster import OBJECT_STORE_PORT
from tests.cluster.let_in import let_in
from tests.conftest import RedisServer
from tests.deploy.helm_chart import CHART, merged
from tests.emulators.postgresql import OWNER, postgresql

RELEASE, PLACE = "loopline", "mlops"
POSTGRESQL, REDIS = 5432, 6379
"""Ports of the node that lead to servers outside."""
_ALONE = "dagster-alone"
_SETTLE_SECONDS = 60.0
"""After so long what began with the pods is over."""


def compare(site: Site, rest_seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Measure the whole, and Dagster's web server alone.

    Returns:
        Of each: seconds until it is ``all available``, and ``cores at rest`` over so many seconds.
    """
    alone = _alone(site, rest_seconds)
    with _stores(site) as secret:
        return _installed(site, secret, rest_seconds), alone


def _installed(site: Site, secret: dict[str, str], rest_seconds: float) -> dict[str, float]:
    repository, _, tag = images.RELEASED.partition(":")
    profile = yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text())
    own = {
        "image": {"repository": repository, "tag": tag},
        "teams": {"retail": {}},
        "webserver": {"replicas": 2},
    }
    places = (PLACE, f"{PLACE}-retail", f"{PLACE}-serving")
    for place in places:
        site.core.create_namespace({"metadata": {"name": place}})
        site.core.create_namespaced_secret(place, {"metadata": {"name": "loopline-stores"}, "stringData": secret})
    made = {"teamDefaults": {"createNamespace": False}, "serving": {"createNamespace": False}}
    began = time.monotonic()
    with helm.Config(kubeconfig_path=site.cluster.kubeconfig, namespace=PLACE) as config:
        config.install(CHART, RELEASE, merged(profile, REACHED, own, made))
    return _measured(site, f"app.kubernetes.io/instance={RELEASE}", began, rest_seconds)


def _measured(site: Site, selector: str, began: float, rest_seconds: float) -> dict[str, float]:
    seconds = _until_available(site, selector, began)
    time.sleep(min(_SETTLE_SECONDS, rest_seconds))
    before, start = site.cpu_seconds(selector), time.monotonic()
    time.sleep(rest_seconds)
    cores = (site.cpu_seconds(selector) - before) / (time.monotonic() - start)
    return {"all available": seconds, "cores at rest": cores}


def _until_available(site: Site, selector: str, began: float) -> float:
    from kubernetes import client

    apps = client.AppsV1Api(site.api)

    def available() -> bool:
        found = apps.list_deployment_for_all_namespaces(label_selector=selector).items
        return bool(found) and all((one.status.available_replicas or 0) >= one.spec.replicas for one in found)

    until(available, 0.2, limit_seconds=600)
    return time.monotonic() - began


def _alone(site: Site, rest_seconds: float) -> dict[str, float]:
    """Start Dagster's web server as a Deployment, with nothing to show."""
    from kubernetes import client

    labels = {"app": _ALONE}
    ready = {"httpGet": {"path": "/server_info", "port": 3000}, "periodSeconds": 2, "timeoutSeconds": 5}
    container: dict[str, Any] = {
        "name": "web",
        "image": images.NAME,
        "imagePullPolicy": "Never",
        "command": [str(interpreter()), "-m", "dagster_webserver", "-h", "0.0.0.0", "--empty-workspace"],
        "workingDir": "/tmp",
        "readinessProbe": ready,
        "resources": {"requests": {"cpu": "50m", "memory": "400Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "securityContext": security}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    apps, began = client.AppsV1Api(site.api), time.monotonic()
    apps.create_namespaced_deployment(NAMESPACE, {"metadata": {"name": _ALONE, "labels": labels}, "spec": spec})
    found = _measured(site, f"app={_ALONE}", began, rest_seconds)
    apps.delete_namespaced_deployment(_ALONE, NAMESPACE)
    return found


@contextmanager
def _stores(site: Site) -> Iterator[dict[str, str]]:
    """Run PostgreSQL and Redis beside the cluster, with an object store in it; gives what a Secret says of them."""
    import psycopg2

    folder = site.folder / "redis"
    folder.mkdir()
    redis = RedisServer(folder)
    with ExitStack() as stack:
        place = str(stack.enter_context(postgresql(syncs=True)).folder)
        connection = psycopg2.connect(host=place, user=OWNER, dbname="postgres")
        connection.autocommit = True
        for name in ("dagster", "ledger"):
            connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        redis.start()
        stack.callback(redis.kill)
        database = stack.enter_context(let_in(site.cluster, POSTGRESQL, f"{place}/.s.PGSQL.5432"))
        cache = stack.enter_context(let_in(site.cluster, REDIS, redis.port))
        store = storage(f"http://{NODE_ADDRESS}:{OBJECT_STORE_PORT}")
        yield {
            "LOOPLINE_DAGSTER_STORAGE": f"postgresql://{OWNER}@{database}/dagster",
            "LOOPLINE_LEDGER": f"postgresql+psycopg2://{OWNER}@{database}/ledger",
            "LOOPLINE_STORE": f"s3://{BUCKET}/chart",
            "LOOPLINE_REDIS": f"redis://{cache}/3",
            "LOOPLINE_MLFLOW": "http://127.0.0.1:9",  # asked when a model is trained, which none is here
            "AWS_ENDPOINT_URL": store["aws_endpoint"],
            "AWS_ALLOW_HTTP": "true",
            **{name.upper(): value for name, value in store.items() if name != "aws_endpoint"},
        }
