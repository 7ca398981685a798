"""The servers in pods: ours as the platform deploys it, KServe's as a Deployment with the same probes and requests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster import kserve_image
from benchmarks.cluster.site import NAMESPACE, Site, until
from benchmarks.serving.data import BOOSTED
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.resources.kubernetes.endpoint_manifests import HTTP_PORT, labels, object_name

CPU, MEMORY = "100m", "500M"
GATEWAY_PORTS = {"ours": 30091, "theirs": 30092}
MODEL = BOOSTED
PATH = f"/v2/models/{MODEL}/infer"
_GATEWAY = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  {temporary}
  {servers}
}}
"""
_SERVER = """
  upstream {name} {{ server {address}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Side:
    """A Deployment of servers, by its name and its pods' labels, and its Service's address inside the cluster."""

    deployment: str
    selector: str
    address: str


def ours(site: Site) -> tuple[Side, Any]:
    """Deploy the model by our vendor; gives the serving too."""
    serving = site.serving(endpoint_group="measured", cpu=0.1, memory_gb=0.5)
    serving.apply(DesiredState(MODEL, 1, version(site, "1")))
    until(lambda: serving.observe(MODEL).ready)
    selector = ",".join(f"{name}={value}" for name, value in labels("measured").items())
    name = object_name("measured")
    return Side(name, selector, _address(site, name)), serving


def version(site: Site, number: str) -> Served:
    """Return the model's package as a version."""
    return Served(number, site.folder / kserve_image.MODELS / "packages" / MODEL, f"cycle-{number}")


def theirs(site: Site) -> Side:
    """Deploy KServe's server."""
    site.apps.create_namespaced_deployment(NAMESPACE, deployment("kserve"))
    ports = [{"port": HTTP_PORT, "targetPort": "http"}]
    service = {"metadata": {"name": "kserve"}, "spec": {"selector": {"app": "kserve"}, "ports": ports}}
    site.core.create_namespaced_service(NAMESPACE, service)
    until(lambda: site.apps.read_namespaced_deployment("kserve", NAMESPACE).status.available_replicas)
    return Side("kserve", "app=kserve", _address(site, "kserve"))


def _address(site: Site, name: str) -> str:
    return f"{site.core.read_namespaced_service(name, NAMESPACE).spec.cluster_ip}:{HTTP_PORT}"


def deployment(name: str) -> dict[str, Any]:
    """Return a Deployment of KServe's server; its pods have ``app`` as their label."""
    ready = {"httpGet": {"path": "/v2/health/ready", "port": HTTP_PORT}}
    container = {
        "name": "server",
        "image": kserve_image.NAME,
        "imagePullPolicy": "Never",
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "resources": {"requests": {"cpu": CPU, "memory": MEMORY}, "limits": {"memory": MEMORY}},
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 600},
        "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 2},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security,
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


@contextmanager
def gateway(site: Site, sides: dict[str, Side]) -> Iterator[dict[str, str]]:
    """Run nginx in the node's network, with a port for each side; gives the URLs.

    Raises:
        RuntimeError: there is no nginx.
    """
    folder = site.folder / "gateway"
    folder.mkdir()
    servers = "".join(
        _SERVER.format(name=name, address=side.address, port=GATEWAY_PORTS[name]) for name, side in sides.items()
    )
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    file = folder / "nginx.conf"
    file.write_text(_GATEWAY.format(folder=folder, temporary=temporary, servers=servers))
    command = [*site.within, nginx(), "-c", str(file), "-e", f"{folder}/nginx.log", "-g", "daemon off;"]
    process = subprocess.Popen(command)
    try:
        time.sleep(1)
        if process.poll() is not None:
            raise RuntimeError(f"nginx ended: {folder.joinpath('nginx.log').read_text()[-1000:]}")
        through = {name: f"http://127.0.0.1:{GATEWAY_PORTS[name]}/" for name in sides}
        for url in through.values():  # the node may not know yet where a Service leads that has just become ready
            until(lambda url=url: _answers(site, url), 0.2)
        yield through
    finally:
        process.terminate()
        process.wait()


def _answers(site: Site, url: str) -> bool:
    asked = [*site.within, "curl", "--silent", "--fail", "--max-time", "2", f"{url}v2/health/ready"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


def nginx() -> str:
    """Return where nginx is.

    Raises:
        RuntimeError: nowhere.
    """
    for path in ("/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"):
        if Path(path).exists():
            return path
    raise RuntimeError("nginx is missing: install it, for example 'apt-get install nginx-light'")


def removed(site: Site) -> None:
    """Take the servers away, so that what is measured next has the node for itself."""
    from kubernetes import client

    client.AppsV1Api(site.api).delete_collection_namespaced_deployment(NAMESPACE)
    site.core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=0)
