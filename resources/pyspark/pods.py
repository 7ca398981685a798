"""Settings of Spark executors as Kubernetes pods."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from loopline.platform_core.foundation.pod_template import PodTemplate
from loopline.resources.kubernetes.quantities import gigabytes

CONTAINER, SCRATCH = "executor", "/tmp"  # noqa: S108 - the pod's own
PORTS = 16
"""How many ports from each first one Spark tries: processes of a pod that ask at once have one each."""
MANAGED = {"app.kubernetes.io/managed-by": "loopline", "app.kubernetes.io/component": "spark-executor"}
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_OF_PYTHON = 0.4
"""The share of a pod's memory that is not Java's heap: Python's, which reads, writes and scores."""


class Pods(BaseModel):
    """Executors as pods, which keep to Pod Security ``restricted``; ``image`` holds Java and this version of Loopline.

    Each has ``cpu`` cores, of which each does a task, and ends where it needs more than ``memory_gb``. Whoever asks is
    reached by them on ``driver_port`` and the 31 behind it. ``service_account`` is the executors'; they have no token.
    """

    model_config = ConfigDict(extra="forbid")

    image: str = Field(min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = Field("default", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    service_account: str = "default"
    executors: int = Field(2, ge=1)
    cpu: int = Field(1, ge=1)
    memory_gb: float = Field(3, ge=1)
    ephemeral_storage_gb: float = Field(10, ge=0)
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    env: Mapping[str, str] = Field(default_factory=dict)
    environment_from: tuple[str, ...] = ()
    pod_template: PodTemplate = PodTemplate()
    driver_port: int = Field(7078, ge=1024, le=65_500)

    @property
    def api_patience_seconds(self) -> float:
        """Return for how long an API server that is away is asked again; Spark itself waits no longer."""
        return 10

    @property
    def memory_mib(self) -> int:
        """Return a pod's memory, Java's and Python's together, in Spark's unit."""
        return int(self.memory_gb * 1e9 / 2**20)

    def options(self, python: str | None) -> dict[str, str]:
        """Say it in Spark's own settings; what it has none for stands in the pods' template, a file of this process."""
        heap_mib = int(self.memory_mib * (1 - _OF_PYTHON))
        named = {
            "container.image": self.image,
            "container.image.pullPolicy": self.image_pull_policy,
            "namespace": self.namespace,
            "authenticate.executor.serviceAccountName": self.service_account,
            "executor.request.cores": str(self.cpu),
            "executor.disableConfigMap": "true",  # executors are told everything by whoever asks
            "executor.podTemplateFile": str(_file(json.dumps(self.template(python)), os.getpid())),
            "executor.podTemplateContainerName": CONTAINER,
            **({"context": self.context} if self.context else {}),
            **({"driver.pod.name": own} if (own := _own_pod(self.namespace)) else {}),
        }
        return {f"spark.kubernetes.{name}": value for name, value in named.items()} | {
            "spark.executor.instances": str(self.executors),
            "spark.executor.cores": str(self.cpu),
            "spark.executor.memory": f"{heap_mib}m",
            "spark.executor.memoryOverhead": f"{self.memory_mib - heap_mib}m",
            "spark.driver.port": str(self.driver_port),
            "spark.blockManager.port": str(self.driver_port + PORTS),
            "spark.port.maxRetries": str(PORTS - 1),
            **({"spark.driver.extraJavaOptions": f"-Dkubeconfig={self.kubeconfig}"} if self.kubeconfig else {}),
        }

    def template(self, python: str | None) -> dict[str, Any]:
        """Return the pod that Spark completes: its program, and what Spark has no settings for."""
        disk = {"ephemeral-storage": gigabytes(self.ephemeral_storage_gb)} if self.ephemeral_storage_gb else {}
        variables = {"HOME": SCRATCH, **self.env}
        container = {
            "name": CONTAINER,
            "command": [python or "python3", "-m", "loopline.resources.pyspark.executor_pod"],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "envFrom": [{"secretRef": {"name": name}} for name in self.environment_from],
            "resources": {"requests": disk, "limits": disk},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
        }
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "nodeSelector": dict(self.node_selector),
            "tolerations": [dict(each) for each in self.tolerations],
            "imagePullSecrets": [{"name": name} for name in self.image_pull_secrets],
            "containers": [container],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }
        if self.priority_class:
            spec["priorityClassName"] = self.priority_class
        extras = self.pod_template
        metadata = extras.metadata({"labels": MANAGED})
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": extras.spec(spec)}


def _own_pod(namespace: str) -> str | None:
    """Return the pod in which this process is, if it may own executors: they go with it, however it ends."""
    if not _OWN_NAMESPACE.exists() or _OWN_NAMESPACE.read_text().strip() != namespace:
        return None
    return os.environ.get("POD_NAME") or os.environ.get("HOSTNAME")


@cache
def _file(text: str, pid: int) -> Path:
    """Write a process's template; Spark reads it again for each executor, so it stays as long as the process does."""
    folder = Path(tempfile.mkdtemp(prefix="loopline-spark-"))

    def clear() -> None:
        if os.getpid() == pid:  # a fork leaves its parent's
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(clear)
    file = folder / "executor.json"
    file.write_text(text)
    return file
