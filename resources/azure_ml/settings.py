"""Settings of an Azure ML workspace: where trainings run, as whom, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pydantic import Field, SecretStr, field_validator

from loopline.resources.managed_jobs.machines import Machine
from loopline.resources.managed_jobs.settings import JobSettings, check_variables, known_endpoints, store_of

MOST_ENV, MOST_TAGS, MOST_TAG_CHARS = 90, 40, 256
_STORE = re.compile(r"az://[a-z0-9](?:-?[a-z0-9]){2,62}(/[A-Za-z0-9!_.*'()=@+-]+)*")


class Place(Protocol):
    """What an environment says of a workspace, and of how it is reached."""

    @property
    def subscription(self) -> str: ...  # noqa: D102 - as the settings
    @property
    def resource_group(self) -> str: ...  # noqa: D102
    @property
    def workspace(self) -> str: ...  # noqa: D102
    @property
    def endpoints(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def authority(self) -> Path | None: ...  # noqa: D102
    @property
    def own_cloud(self) -> bool: ...  # noqa: D102
    @property
    def api_patience_seconds(self) -> float: ...  # noqa: D102


def workspace_id(place: Place) -> str:
    """Return a workspace as Azure names it."""
    group = f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}"
    return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{place.workspace}"


def check_tags(value: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse what is no tag of Azure's."""
    for name, said in value.items():
        if not name or max(len(name), len(said)) > MOST_TAG_CHARS:
            raise ValueError(f"{name!r} is no tag: name and value have {MOST_TAG_CHARS} characters at most")
    return value


class Cluster(Machine):
    """What one node of a compute cluster has, and the size of machine that it is: what is paid for."""

    size: str = Field(pattern="^[A-Za-z][A-Za-z0-9_]+$")


class Settings(JobSettings):
    """Where trainings run, as whom, and for how long.

    ``clusters`` are the workspace's by their names; one whose nodes are of low priority is taken back
    now and then, and Azure ML queues the job again. ``store`` is a folder of a container, as ``az://container/prefix``,
    in the storage account ``account``: tasks, answers and logs lie there. ``datastore`` is what the workspace calls
    it. ``identity`` is the client id of a managed identity that the clusters have, as whom jobs run; it may hold
    ``{team}``. ``endpoints`` names other URLs for ``resource_manager``, ``history`` and ``blob``, ``authority`` is the
    file of a certificate authority of your own for the first two, ``own_cloud`` a sign-in that Microsoft does not know.
    """

    subscription: str = Field(min_length=1)
    resource_group: str = Field(min_length=1)
    workspace: str = Field(min_length=1)
    clusters: Mapping[str, Cluster] = Field(min_length=1)
    store: str
    account: str = Field(pattern="^[a-z0-9]{3,24}$")
    account_key: SecretStr = SecretStr("")
    datastore: str = Field(default="workspaceblobstore", pattern="^[a-zA-Z0-9_]+$")
    identity: str | None = None
    experiment: str = Field(default="loopline", pattern="^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$")
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    authority: Path | None = None
    own_cloud: bool = False
    shared_memory_gb: int = Field(default=2, ge=1)
    tags: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_TAGS)

    _is_store = field_validator("store")(store_of(_STORE, "az://container/prefix"))
    _is_known = field_validator("endpoints")(known_endpoints("blob", "history", "resource_manager"))

    @field_validator("env")
    @classmethod
    def _is_env(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        return check_variables(value, MOST_ENV, " beside ours")

    _is_tag = field_validator("tags")(check_tags)

    @property
    def workspace_id(self) -> str:
        """Return the workspace as Azure names it."""
        return workspace_id(self)

    @property
    def container(self) -> str:
        """Return the container of ``store``."""
        return self.store.removeprefix("az://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """Return what names in the container begin with, as ``prefix/``; empty: nothing."""
        said = self.store.removeprefix("az://").partition("/")[2]
        return f"{said}/" if said else ""
