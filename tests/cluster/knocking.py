"""Pods that knock at others and say what came of it, asked from their node, to which no policy applies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.cluster import images
from scripts.cluster.outside import Cluster
from scripts.cluster.python_layer import interpreter

if TYPE_CHECKING:
    from kubernetes import client

PORT, OTHER_PORT = 8080, 8000
REACHED, DENIED = "reached", "denied"
SECONDS = 60
"""Within what time a policy has to hold, or to have gone."""
_SERVE = f"""
import http.server, socket, threading, urllib.parse

class Knocker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said(**asked).encode())

    def said(self, host="", port="0"):
        if not host:
            return "alive"
        try:
            found = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)[0][4]
        except OSError:
            return "unknown"
        try:
            socket.create_connection(found, 2).close()
        except OSError:
            return "{DENIED}"
        return "{REACHED}"

other = http.server.ThreadingHTTPServer(("", {OTHER_PORT}), Knocker)
threading.Thread(target=other.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("", {PORT}), Knocker).serve_forever()
"""
_GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode(), end='')"


@dataclass(frozen=True)
class Knocker:
    """A pod that answers on two ports and knocks where it is told to."""

    cluster: Cluster
    address: str

    def at(self, host: str, port: int = PORT) -> str:
        """Knock once: reached, denied, or unknown, for a name that nobody knows or may ask for."""
        url = f"http://{self.address}:{PORT}/?host={host}&port={port}"
        command = ["nsenter", f"--net={self.cluster.network}", sys.executable, "-ISc", _GET, url]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def comes_to(self, expected: str, host: str, port: int = PORT) -> bool:
        """Say whether knocking comes to something in time, and stays there."""
        end = time.monotonic() + SECONDS
        while (found := self.at(host, port)) != expected:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)  # between two looks
        return all(self.at(host, port) == found for _ in range(3))


def start(
    core: client.CoreV1Api,
    cluster: Cluster,
    namespace: str,
    name: str = "knocker",
    labels: Mapping[str, str] | None = None,
) -> Knocker:
    """Start one, with a Service of its name, and wait until the kubelet's probe calls it ready."""
    container = {
        "name": "knocker",
        "image": images.NAME,
        "imagePullPolicy": "Never",
        "command": [str(interpreter()), "-c", _SERVE],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }
    restricted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": restricted, "containers": [container], "automountServiceAccountToken": False}
    own = {"app": name}
    core.create_namespaced_pod(
        namespace, {"metadata": {"name": name, "labels": {**own, **(labels or {})}}, "spec": spec}
    )
    service = {"selector": own, "ports": [{"port": PORT}]}
    core.create_namespaced_service(namespace, {"metadata": {"name": name}, "spec": service})
    end = time.monotonic() + SECONDS
    while not is_ready(found := core.read_namespaced_pod(name, namespace)):
        assert time.monotonic() < end, found.status
        time.sleep(0.2)  # between two looks
    return Knocker(cluster, found.status.pod_ip)


def is_ready(pod: client.V1Pod) -> bool:
    """Say whether the kubelet calls a pod ready."""
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())
