"""Request of a Vertex AI custom job."""

from __future__ import annotations

from typing import Any

from loopline.resources.managed_jobs.folder import LEFT
from loopline.resources.managed_jobs.service import Order
from loopline.resources.managed_jobs.settings import SAID, filled
from loopline.resources.vertex.machine_types import accelerator
from loopline.resources.vertex.settings import Settings, label_value

KEY = "LOOPLINE_KEY"
"""The variable that says for which key a job was made: a label has no room for it."""
NAME, INSTALLATION = "loopline-job", "loopline-installation"
"""The labels by which a job is found: its name, and what names of this installation begin with."""
MOST_KEY_CHARS = 2500
_HOUR_SECONDS = 3600

Request = dict[str, Any]


def custom_job(settings: Settings, order: Order, prefix: str, task: str) -> Request:
    """Write a job whose task is the object ``task`` of the store; names of this installation's begin with ``prefix``.

    Raises:
        InvalidSpec: the key is longer than we let it become.
    """
    order.check_key(MOST_KEY_CHARS)
    spec: Request = {
        "worker_pool_specs": _pools(settings, order, task),
        "scheduling": {"timeout": {"seconds": int(settings.max_runtime_hours * _HOUR_SECONDS)}},
    }
    if settings.spot:
        spec["scheduling"]["strategy"] = "SPOT"
    if settings.service_account:
        spec["service_account"] = filled(settings.service_account, order.args, "service_account")
    if settings.network:
        spec["network"] = settings.network
    if order.requirements.workers > 1:
        spec["scheduling"]["restart_job_on_worker_restart"] = True  # a gang does not take one back that was away
    found: Request = {"display_name": order.name, "job_spec": spec, "labels": _labels(settings, order, prefix)}
    if settings.kms_key:
        found["encryption_spec"] = {"kms_key_name": settings.kms_key}
    return found


def _pools(settings: Settings, order: Order, task: str) -> list[Request]:
    """Write the first worker's pool, and that of all others: Vertex AI names them in that order."""
    pool = {
        "machine_spec": _machine(settings, order.machine),
        "disk_spec": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": settings.disk_gb},
        "container_spec": _container(settings, order, task),
    }
    counts = [1, order.requirements.workers - 1]
    return [{**pool, "replica_count": count} for count in counts if count]


def _machine(settings: Settings, machine: str) -> Request:
    gpu = settings.machine_types[machine].gpu
    kind = accelerator(machine, settings.accelerators) if gpu else None
    return {"machine_type": machine, **({"accelerator_type": kind, "accelerator_count": gpu} if kind else {})}


def _container(settings: Settings, order: Order, task: str) -> Request:
    mounted = settings.store.replace("gs://", "/gcs/", 1)
    variables = {**settings.variables(order.requirements.cpu), KEY: order.key}
    return {
        "image_uri": settings.image,
        "command": [settings.python, "-m", "loopline.resources.vertex.in_job"],
        "args": [f"{mounted}/{task}", f"{mounted}/{order.name}/{LEFT}"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }


def _labels(settings: Settings, order: Order, prefix: str) -> dict[str, str]:
    own = {f"loopline-{name}": label_value(str(order.args[name])) for name in SAID if name in order.args}
    return {**settings.labels, **own, NAME: order.name, INSTALLATION: prefix}
