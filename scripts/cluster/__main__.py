"""``make cluster``: a cluster, and beside it what the chart needs, left running; ``INSTALL=yes`` installs the chart.

PostgreSQL, Redis, an object store and MLflow are servers of this machine, which pods reach by ports of the node; a
Gateway is in the cluster. What the how-to writes by hand is written below ``build/cluster``: ``stores.env``,
``serving.env``, ``keys.json`` and ``values.yaml``.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from loopline.gateway import api_keys
from loopline.platform_core.testing.parts.ports import free_ports
from scripts.cluster import images
from scripts.cluster.outside import Cluster, missing, obstacle, running
from tests.cluster import gateway
from tests.cluster.installed_chart import CHART, NAMESPACE, REACHED, RELEASE, merged, wait_until_ready
from tests.cluster.let_in import let_in
from tests.conftest import RedisServer
from tests.emulators.postgresql import OWNER, postgresql
from tests.mlflow_server import mlflow_server
from tests.s3_server import KEY, SECRET, S3Server

if TYPE_CHECKING:
    from kubernetes import client

BUILT = Path(__file__).parents[2] / "build" / "cluster"
TEAM = "retail"
PLACES = (NAMESPACE, f"{NAMESPACE}-{TEAM}", f"{NAMESPACE}-serving")
POSTGRESQL, REDIS, STORE, MLFLOW = 5432, 6379, 8333, 5000
"""Ports of the node that lead to the servers."""
OPEN = 30080
"""The node's port at which the Gateway takes requests."""
KEYS = "loopline-keys"
CALLER = "caller"
"""Who has the key that is printed."""
SERVED = ("LOOPLINE_STORE", "LOOPLINE_REDIS", "AWS_")
"""What endpoints' pods use of the stores' Secret."""
VOLUMES = 3


def main() -> None:
    """Bring it up, say how to reach it, and wait."""
    if problem := obstacle():
        sys.exit(f"{problem}: run 'make cluster' as root, where namespaces are allowed")
    if absent := missing():
        sys.exit(f"{', '.join(absent)} missing: run scripts/cluster.sh")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="loopline-cluster-")))
        folder.chmod(0o755)  # pods do not run as root
        cluster = ends.enter_context(running(folder / "cluster", images.with_loopline(folder), (OPEN,)))
        secret = ends.enter_context(stores(cluster, folder))
        _volumes(cluster, folder / "volumes")
        with signed_in(cluster) as api:
            gateway.install(cluster, api, OPEN)
        key = _write(secret)
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        print(f"stores.env, serving.env, keys.json and values.yaml are written to {BUILT}", flush=True)
        print(f"the Gateway answers at http://127.0.0.1:{cluster.ports[str(OPEN)]}, with X-API-Key: {key}", flush=True)
        if os.environ.get("INSTALL"):
            began = time.monotonic()
            install(cluster, secret)
            print(f"installed, and every part is ready, after {time.monotonic() - began:.0f} s", flush=True)
        print("Ctrl-C ends it", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


@contextmanager
def stores(cluster: Cluster, folder: Path) -> Iterator[dict[str, str]]:
    """Run the servers that pods share; gives the variables of the chart's Secret."""
    with ExitStack() as ends:
        (port,) = free_ports(1)
        database = ends.enter_context(postgresql(port, syncs=True))
        for name in ("dagster", "ledger"):
            database.database(name)
        kept = {name: folder / name for name in ("redis", "store", "mlflow")}
        for one in kept.values():
            one.mkdir()
        redis, store = RedisServer(kept["redis"]), S3Server(kept["store"])
        for server in (redis, store):
            server.start()
            ends.callback(server.kill)
        store.make_bucket("production")
        registry = ends.enter_context(mlflow_server(kept["mlflow"]))
        listening = {POSTGRESQL: port, REDIS: redis.port, STORE: int(store.url.rpartition(":")[2]), MLFLOW: registry}
        at = {inside: ends.enter_context(let_in(cluster, inside, outside)) for inside, outside in listening.items()}
        owner = f"{OWNER}:{database.password}@{at[POSTGRESQL]}"
        yield {
            "LOOPLINE_DAGSTER_STORAGE": f"postgresql://{owner}/dagster",
            "LOOPLINE_LEDGER": f"postgresql+psycopg2://{owner}/ledger",
            "LOOPLINE_STORE": "s3://production/loopline",
            "LOOPLINE_REDIS": f"redis://{at[REDIS]}/0",
            "LOOPLINE_MLFLOW": f"http://{at[MLFLOW]}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{at[STORE]}",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }


def values() -> dict[str, Any]:
    """Return what is said over the profile for a laptop's cluster."""
    repository, _, tag = images.RELEASED.partition(":")
    own = {
        "image": {"repository": repository, "tag": tag},
        "teams": {TEAM: {}},
        "teamDefaults": {"createNamespace": False},
        "serving": {"createNamespace": False, "keys": KEYS},
        "expose": {"enabled": True, "gateway": {"namespace": gateway.NAMESPACE, "name": gateway.NAME}},
    }
    return merged(REACHED, own)


def install(cluster: Cluster, secret: dict[str, str]) -> None:
    """Do what the how-to says: namespaces, Secrets, the chart; wait until every part is ready."""
    import helm_python as helm
    from kubernetes import client

    with signed_in(cluster) as api:
        core = client.CoreV1Api(api)
        keys = {"keys.json": BUILT.joinpath("keys.json").read_text()}
        for place in PLACES:
            core.create_namespace({"metadata": {"name": place}})
            given = served(secret) if place.endswith("-serving") else secret
            core.create_namespaced_secret(place, {"metadata": {"name": "loopline-stores"}, "stringData": given})
        for place in (NAMESPACE, f"{NAMESPACE}-serving"):
            core.create_namespaced_secret(place, {"metadata": {"name": KEYS}, "stringData": keys})
        profile = yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text())
        with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=NAMESPACE) as installs:
            installs.install(CHART, RELEASE, merged(profile, values()))
        wait_until_ready(api)


@contextmanager
def signed_in(cluster: Cluster) -> Iterator[client.ApiClient]:
    """Give the cluster's API, for its administrator."""
    from kubernetes import config

    with config.new_client_from_config(str(cluster.kubeconfig)) as api:
        yield api


def served(secret: dict[str, str]) -> dict[str, str]:
    """Return those of the variables that endpoints' pods use."""
    return {name: value for name, value in secret.items() if name.startswith(SERVED)}


def _write(secret: dict[str, str]) -> str:
    """Write what the how-to writes by hand, and return a key to the endpoints."""
    BUILT.mkdir(parents=True, exist_ok=True)
    for name, given in (("stores.env", secret), ("serving.env", served(secret))):
        file = BUILT / name
        file.touch(0o600)
        file.write_text("".join(f"{key}={value}\n" for key, value in given.items()))
    BUILT.joinpath("values.yaml").write_text(yaml.safe_dump(values(), sort_keys=False))
    keys = BUILT / "keys.json"
    keys.unlink(missing_ok=True)
    return api_keys.create(keys, CALLER)


def _volumes(cluster: Cluster, folder: Path) -> None:
    """Make a storage class, the cluster's own, with some volumes: folders of this machine."""
    from kubernetes import client

    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    kind = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate"}
    with signed_in(cluster) as api:
        client.StorageV1Api(api).create_storage_class({"metadata": {"name": "folders", "annotations": default}, **kind})
        for number in range(VOLUMES):
            path = folder / str(number)
            path.mkdir(parents=True)
            path.chmod(0o777)
            spec = {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                "storageClassName": "folders",
                "hostPath": {"path": str(path)},
            }
            named = {"metadata": {"name": f"folder-{number}"}, "spec": spec}
            client.CoreV1Api(api).create_persistent_volume(named)


if __name__ == "__main__":
    main()
