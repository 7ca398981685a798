"""Job manifest of a task: one pod for each worker, tried once, under Pod Security's ``restricted``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopline.platform_core.specs.model import Requirements
from loopline.resources.kubernetes.in_pod import ADDRESSES, WORKERS
from loopline.resources.kubernetes.in_pod import TASK as TASK_FILE
from loopline.resources.kubernetes.names import GANG, KEY, MANAGED, TASK, job_name
from loopline.resources.kubernetes.quantities import cores, gigabytes
from loopline.resources.kubernetes.settings import Settings

CONTAINER = "task"
SCRATCH = "/tmp"  # noqa: S108 - the pod's own
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_DAY_SECONDS = 86_400
_DISRUPTED = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}

Manifest = dict[str, Any]


def manifest(settings: Settings, requirements: Requirements, key: str, packed: str, account: str) -> Manifest:
    """Write the Job of a key; ``packed`` is the task as an annotation.

    It is tried once: whoever asks decides about another try, and knows why the first one ended. A pod that was
    evicted or preempted fails the Job by a rule of its own, so that its condition says so even when the pod is gone.
    Of several workers each pod has a number; when one fails the Job has failed, and ends the others.
    """
    workers, extras = requirements.workers, settings.pod_template
    several = {"completionMode": "Indexed", "completions": workers, "parallelism": workers} if workers > 1 else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(key), "labels": MANAGED, "annotations": {KEY: key}},
        "spec": {
            **several,
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": [_DISRUPTED]},
            "ttlSecondsAfterFinished": int(settings.keep_days * _DAY_SECONDS),
            "template": {
                "metadata": extras.metadata({"labels": MANAGED, "annotations": {TASK: packed}}),
                "spec": extras.spec(_pod(settings, requirements, account)),
            },
        },
    }


def resources(settings: Settings, requirements: Requirements) -> dict[str, Manifest]:
    """Return what the container asks for, and where it ends.

    Cores are shared beyond what is asked; memory and disk are not.
    """
    hard = {"memory": gigabytes(requirements.memory_gb)}
    if settings.ephemeral_storage_gb:
        hard["ephemeral-storage"] = gigabytes(settings.ephemeral_storage_gb)
    if requirements.gpu:
        hard[settings.gpu_resource] = str(requirements.gpu)
    return {"requests": {"cpu": cores(requirements.cpu), **hard}, "limits": hard}


def node_selector(settings: Settings, requirements: Requirements) -> dict[str, str]:
    """Return the labels that a node must have."""
    return {**settings.node_selector, **(settings.gpu_node_selector if requirements.gpu else {})}


def tolerations(settings: Settings, requirements: Requirements) -> list[Mapping[str, Any]]:
    """Return the environment's tolerations; who asks for a GPU tolerates the taint of nodes that are kept for those."""
    of_gpu = {"key": settings.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}
    return [*settings.tolerations, *([of_gpu] if requirements.gpu else [])]


def _pod(settings: Settings, requirements: Requirements, account: str) -> Manifest:
    found: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": node_selector(settings, requirements),
        "tolerations": tolerations(settings, requirements),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "containers": [_container(settings, requirements)],
        "volumes": _volumes(settings),
    }
    if settings.priority_class:
        found["priorityClassName"] = settings.priority_class
    return found


def _container(settings: Settings, requirements: Requirements) -> Manifest:
    threads = dict.fromkeys(_THREADS, str(max(1, int(requirements.cpu))))
    several = {WORKERS: str(requirements.workers)} if requirements.workers > 1 else {}
    variables = {"HOME": SCRATCH, "LOOPLINE_HOME": f"{SCRATCH}/loopline", **threads, **several, **settings.env}
    mounts = [{"name": "scratch", "mountPath": SCRATCH}, {"name": "task", "mountPath": str(TASK_FILE.parent)}]
    mounts += [{"name": _volume(number), "mountPath": path} for number, path in enumerate(settings.claims.values())]
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [settings.python, "-m", "loopline.resources.kubernetes.in_pod"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "envFrom": [{"secretRef": {"name": name}} for name in settings.environment_from],
        "resources": resources(settings, requirements),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _volumes(settings: Settings) -> list[Manifest]:
    files = [
        {"path": file.name, "fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}}
        for file, name in ((TASK_FILE, TASK), (ADDRESSES, GANG))
    ]
    claims = [
        {"name": _volume(number), "persistentVolumeClaim": {"claimName": claim}}
        for number, claim in enumerate(settings.claims)
    ]
    disk = {"sizeLimit": gigabytes(settings.ephemeral_storage_gb)} if settings.ephemeral_storage_gb else {}
    scratch: Manifest = {"name": "scratch", "emptyDir": disk}
    return [scratch, {"name": "task", "downwardAPI": {"items": files}}, *claims]


def _volume(number: int) -> str:
    return f"claim-{number}"
