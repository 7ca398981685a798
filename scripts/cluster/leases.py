"""Leases of simulated nodes, renewed by a process of its own.

Where a benchmark or a test keeps its process busy, hundreds of renewals in a thread of it would come too late, the
nodes be given up, and what the process spends be theirs as well.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from kubernetes import client

NAMESPACE, SECONDS = "kube-node-lease", 40
_RENEW_SECONDS = 10
_AT_ONCE = 4
_ANSWER_SECONDS = 5


class Leases:
    """Renews nodes' leases from ``start`` to ``stop``; one that is not there yet, or is gone, is passed over."""

    def __init__(self, api: client.ApiClient, names: Sequence[str]) -> None:
        signed_in = api.configuration
        server = {"cert_file": signed_in.cert_file, "key_file": signed_in.key_file, "ca_certs": signed_in.ssl_ca_cert}
        context = multiprocessing.get_context("spawn")
        self._over = context.Event()
        given = (signed_in.host, server, tuple(names), self._over)
        self._renewing = context.Process(target=_renew, args=given, name="leases", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._renewing.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._renewing.join()


def spec(name: str) -> dict[str, Any]:
    """Return a lease of now."""
    return {"holderIdentity": name, "leaseDurationSeconds": SECONDS, "renewTime": now()}


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _renew(host: str, server: dict[str, Any], names: tuple[str, ...], over: Event) -> None:
    asked = urllib3.PoolManager(maxsize=_AT_ONCE, retries=False, timeout=_ANSWER_SECONDS, **server)
    parent = multiprocessing.parent_process()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while not over.wait(_RENEW_SECONDS) and parent and parent.is_alive():
            list(pool.map(partial(_renewed, asked, host), names))


def _renewed(asked: urllib3.PoolManager, host: str, name: str) -> None:
    url = f"{host}/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{name}"
    body = json.dumps({"spec": {"renewTime": now()}})
    try:
        asked.request("PATCH", url, body=body, headers={"Content-Type": "application/merge-patch+json"})
    except urllib3.exceptions.HTTPError:  # its turn comes again before the lease ends
        return
