"""Settings of teams whose runs are pods of their own, and the pod configuration that follows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from loopline.asset_defs.keys import (
    AUDIT_JOB,
    CYCLE_JOB,
    INGEST_JOB,
    LAKE_JOB,
    MONITOR_JOB,
    NIGHTLY_JOBS,
    STEPS_ARE_PODS,
)
from loopline.platform_core.foundation.pod_template import PodTemplate

LIBRARY = "dagster_k8s"
RUN_OF = "LOOPLINE_RUN_OF"
"""The variable in which a run's pod finds its team."""
HEAVY = (INGEST_JOB, CYCLE_JOB, MONITOR_JOB, LAKE_JOB, AUDIT_JOB, *NIGHTLY_JOBS)
"""Jobs whose runs may be pods; the other ones take a step of a rollout or a wish, and never wait for a node."""
ASSETS_JOB = "__ASSET_JOB"
"""What Dagster calls the job of assets that a person materializes without one of ours."""
HOME, SCRATCH, ENVIRONMENT = "/var/lib/loopline", "/tmp", "/etc/loopline"  # noqa: S108 - the pod's own
DISK = "10Gi"
KEEP_SECONDS = 600
"""How long a Job stays when it has ended: a tenant's quota counts Jobs."""
_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class RunPods(BaseModel):
    """Which runs of a team are pods, and what such a pod is.

    ``jobs`` names those of ``HEAVY`` that are meant, all of them if it is empty; ``steps`` gives each step of such a
    run a pod of its own as well. The image holds the team's package; ``environment_map`` is the ConfigMap with its
    ``environment.yaml``, ``environment_from`` names Secrets whose entries become variables, ``claims`` and
    ``secrets`` map volume claims and Secrets to where they are mounted. ``kubeconfig`` is for who launches
    from outside the cluster.
    """

    model_config = ConfigDict(extra="forbid")
    image: str = Field(min_length=1)
    namespace: str = Field(pattern=_NAME)
    service_account: str = Field(default="default", pattern=_NAME)
    jobs: tuple[str, ...] = ()
    steps: bool = False
    python: str = "python"
    resources: Mapping[Literal["requests", "limits"], Mapping[str, str | int | float]] = Field(default_factory=dict)
    environment_map: str = "loopline-environment"
    environment_from: tuple[str, ...] = ()
    env: Mapping[str, str] = Field(default_factory=dict)
    claims: Mapping[str, str] = Field(default_factory=dict)
    secrets: Mapping[str, str] = Field(default_factory=dict)
    labels: Mapping[str, str] = Field(default_factory=dict)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    pod_template: PodTemplate = PodTemplate()
    kubeconfig: Path | None = None

    @field_validator("jobs")
    @classmethod
    def _heavy(cls, jobs: tuple[str, ...]) -> tuple[str, ...]:
        """A step of a rollout may take a bad version back: it must not wait for an image or a node."""
        for job in jobs:
            if job not in HEAVY:
                raise ValueError(f"{job!r} is no job whose runs may be pods; use some of {', '.join(HEAVY)}, or none")
        return jobs

    def takes(self, job: str) -> bool:
        """Say whether runs of a job are pods; what a person starts for assets without a job is one too."""
        return job in (self.jobs or (*HEAVY, ASSETS_JOB))


def library_missing() -> bool:
    """Say whether what starts such pods is not installed."""
    return find_spec(LIBRARY) is None


def launcher_settings(team: str, chosen: RunPods) -> dict[str, Any]:
    """Return the configuration of dagster-k8s' launcher for a team.

    The pod keeps to Pod Security's ``restricted``, is tried once, and becomes ``loopline pod run``. What a job's or a
    run's tags may change of it is how much it asks for: quota and limit range hold all the same.
    """
    extras = chosen.pod_template
    pod = extras.spec(_pod(chosen) | {"containers": [_container(team, chosen)]})
    return {
        "job_image": chosen.image,
        "job_namespace": chosen.namespace,
        "service_account_name": chosen.service_account,
        "image_pull_policy": chosen.image_pull_policy,
        "instance_config_map": chosen.environment_map,
        "dagster_home": f"{HOME}/dagster",
        "load_incluster_config": chosen.kubeconfig is None,
        **({"kubeconfig_file": str(chosen.kubeconfig)} if chosen.kubeconfig else {}),
        "labels": {**chosen.labels, "loopline.dev/team": team},
        "only_allow_user_defined_k8s_config_fields": {"container_config": {"resources": True}},
        "only_allow_user_defined_env_vars": [],
        "run_k8s_config": {
            "container_config": pod.pop("containers")[0],
            "pod_spec_config": pod,
            "pod_template_spec_metadata": extras.metadata({}),
            "job_spec_config": {"backoffLimit": 0, "ttlSecondsAfterFinished": KEEP_SECONDS},
        },
    }


def _container(team: str, chosen: RunPods) -> dict[str, Any]:
    own = {
        "HOME": SCRATCH,
        "LOOPLINE_HOME": HOME,
        "LOOPLINE_ENVIRONMENT": f"{ENVIRONMENT}/environment.yaml",
        **chosen.env,
        RUN_OF: team,
        **({STEPS_ARE_PODS: "yes"} if chosen.steps else {}),
    }
    mounts = [
        {"name": "home", "mountPath": HOME},
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "environment", "mountPath": ENVIRONMENT, "readOnly": True},
        *({"name": _claim(number), "mountPath": path} for number, path in enumerate(chosen.claims.values())),
        *(
            {"name": _secret(number), "mountPath": path, "readOnly": True}
            for number, path in enumerate(chosen.secrets.values())
        ),
    ]
    return {
        "image": chosen.image,
        "command": [chosen.python, "-m", "loopline.cli", "pod", "run"],
        "env": [{"name": name, "value": value} for name, value in own.items()],
        "envFrom": [{"secretRef": {"name": name}} for name in chosen.environment_from],
        "resources": {kind: {k: str(v) for k, v in asked.items()} for kind, asked in chosen.resources.items()},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _pod(chosen: RunPods) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": True,  # it starts Jobs: trainings, and steps where those are pods
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": [{"name": name} for name in chosen.image_pull_secrets],
        "nodeSelector": dict(chosen.node_selector),
        "tolerations": [dict(one) for one in chosen.tolerations],
        **({"priorityClassName": chosen.priority_class} if chosen.priority_class else {}),
        "volumes": [
            {"name": "home", "emptyDir": {"sizeLimit": DISK}},
            {"name": "scratch", "emptyDir": {"sizeLimit": DISK}},
            {"name": "environment", "configMap": {"name": chosen.environment_map}},
            *(
                {"name": _claim(number), "persistentVolumeClaim": {"claimName": claim}}
                for number, claim in enumerate(chosen.claims)
            ),
            *(
                {"name": _secret(number), "secret": {"secretName": secret, "defaultMode": 0o440}}
                for number, secret in enumerate(chosen.secrets)
            ),
        ],
    }


def _claim(number: int) -> str:
    return f"claim-{number}"


def _secret(number: int) -> str:
    return f"secret-{number}"
