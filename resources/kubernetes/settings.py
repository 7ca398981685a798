"""Settings of a Kubernetes cluster: sign-in, where pods run, as whom, and how long they may wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.pod_template import PodTemplate
from loopline.resources.kubernetes.names import team_word


class Largest(BaseModel):
    """The largest node that a pool may grow to have, where nodes come when they are needed."""

    model_config = ConfigDict(extra="forbid")
    cpu: float
    memory_gb: float
    gpu: int = 0


class SignIn(Protocol):
    """How an environment says to sign in to a cluster, and how long its API may be away."""

    @property
    def kubeconfig(self) -> Path | None:
        """Return the file; None: the usual one, or the pod's own account."""

    @property
    def context(self) -> str | None:
        """Return which of the file's contexts."""

    @property
    def api_patience_seconds(self) -> float:
        """Return for how long to ask again."""


@dataclass(frozen=True)
class PlainSignIn:
    """How to sign in, for who needs nothing else of an environment."""

    kubeconfig: Path | None = None
    context: str | None = None
    api_patience_seconds: float = 10


class Settings(Vendor):
    """Where pods run, as whom, and how long they may wait.

    ``namespace`` and ``service_account`` may hold ``{team}``: each team's tasks run in its own namespace, as its own
    account. ``environment_from`` names Secrets whose entries become variables, ``claims`` maps volume claims to where
    they are mounted; ``pod_template`` adds what a cluster asks of every pod. ``gpu_resource`` is what a GPU is called,
    and ``gpu_node_selector`` where it is looked for.

    What cannot start now is told within 30 seconds, and then waits (``waiting: wait``, up to ``patience_minutes``) or
    fails (``waiting: fail``). ``keep_days`` is how long a Job, and by it the answer to its key, stays. Of a task with
    several workers, those that have places wait for the others for ``gang_seconds``; then all give them back for a
    while.
    """

    image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    python: str = "python"
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "loopline"
    service_account: str = "default"
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    pod_template: PodTemplate = PodTemplate()
    gpu_resource: str = "nvidia.com/gpu"
    gpu_node_selector: Mapping[str, str] = Field(default_factory=dict)
    largest_node: Largest | None = None
    ephemeral_storage_gb: float = 10
    claims: Mapping[str, str] = Field(default_factory=dict)
    env: Mapping[str, str] = Field(default_factory=dict)
    environment_from: tuple[str, ...] = ()
    waiting: Literal["wait", "fail"] = "wait"
    patience_minutes: float = 60
    gang_seconds: float = 60
    api_patience_seconds: float = 300
    keep_days: float = 7

    def placed(self, args: Mapping[str, Any]) -> tuple[str, str]:
        """Return the namespace and the service account of a task.

        Raises:
            InvalidEnvironment: they hold ``{team}``, and the task's arguments name no team.
        """
        try:
            known = {"team": team_word(str(args["team"]))} if "team" in args else {}
            return self.namespace.format(**known), self.service_account.format(**known)
        except (KeyError, IndexError, ValueError) as error:
            raise InvalidEnvironment(
                f"compute: {self.namespace!r} or {self.service_account!r} cannot be filled in for this task: {error}",
                "name them without {team}: the task is the platform's own",
            ) from error
