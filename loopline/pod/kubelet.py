"""Diagnosis of a team's pod that does not start, from Kubernetes' pod status and events."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.located_yaml import load
from loopline.pod import WORKSPACE

if TYPE_CHECKING:
    from loopline.resources.kubernetes.link import Link

_OWN = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PATIENCE_SECONDS = 5.0
"""The watchdog's round waits for it."""


@dataclass(frozen=True)
class Kubelet:
    """Asks the cluster about the pods behind the Services that a workspace file names."""

    workspace: Path
    kubeconfig: Path | None = None

    def words(self, location: str) -> str:
        """Say what keeps a code location's pod from starting; empty: nothing is known, or we may not ask."""
        from kubernetes.client import ApiException

        from loopline.resources.kubernetes.link import Link
        from loopline.resources.kubernetes.settings import PlainSignIn

        try:
            service, namespace = self._service(location)
            link = Link(PlainSignIn(self.kubeconfig, api_patience_seconds=_PATIENCE_SECONDS))
        except LooplineError:
            return ""
        try:
            return _of_service(link, service, namespace)
        except (LooplineError, ApiException):
            return ""
        finally:
            link.close()

    def _service(self, location: str) -> tuple[str, str]:
        """Return the Service and the namespace of a code location: ``host`` is ``service.namespace.svc``.

        Raises:
            InvalidSpec: the workspace file cannot be read.
        """
        for one in (load(self.workspace).data or {}).get("load_from", ()):
            server = one.get("grpc_server", {})
            if server.get("location_name") == location:
                service, _, rest = str(server["host"]).partition(".")
                return service, rest.partition(".")[0] or _OWN.read_text(encoding="utf-8")
        return "", ""


def of_this_pod() -> Kubelet | None:
    """Return who to ask where this process is a pod with an account; None elsewhere."""
    if not _OWN.exists():
        return None
    return Kubelet(Path(os.environ.get("LOOPLINE_WORKSPACE", WORKSPACE)))


def _of_service(link: Link, service: str, namespace: str) -> str:
    from loopline.resources.kubernetes.pod_errors import obstacle

    found: Any = link.call_or_none(link.core.read_namespaced_service, service, namespace) if service else None
    if found is None:
        return ""
    selector = ",".join(f"{name}={value}" for name, value in (found.spec.selector or {}).items())
    pods = link.allowed(link.core.list_namespaced_pod, namespace, label_selector=selector)
    standing = [pod for pod in pods if not pod.metadata.deletion_timestamp]
    told = (obstacle(link, pod) for pod in sorted(standing, key=_age, reverse=True))
    return next((words for words in told if words), "")


def _age(pod: Any) -> Any:
    return pod.metadata.creation_timestamp
