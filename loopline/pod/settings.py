"""Dagster settings of an environment file, under the key ``dagster``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import validation
from loopline.platform_core.foundation.credentials import SCHEME
from loopline.platform_core.foundation.located_yaml import load
from loopline.pod import run_pods
from loopline.pod.run_pods import RunPods

EXAMPLE = 'storage: "${LOOPLINE_DAGSTER_STORAGE}"'


class Limit(BaseModel):
    """How many runs with a tag may be under way at once; with ``per_value``, so many of each of the tag's values."""

    model_config = ConfigDict(extra="forbid")
    tag: str
    value: str | None = None
    per_value: bool = False
    runs: int = Field(ge=0)


class DagsterSettings(BaseModel):
    """Where Dagster keeps what it knows, and how many runs may be under way at once.

    ``storage`` is a PostgreSQL URL. ``run_logs`` is the URL of the object store's prefix for what runs print, with the
    store's options in ``run_logs_options``; "" leaves it in the pod that ran them. ``run_log_link_seconds`` is how long
    a link to a log of that store reads it without asking who follows it; 0 makes none. ``runs`` counts all,
    ``trainings`` those of cycles, ``team_runs`` each team's; ``limits`` adds bounds by tag, ``pools`` is Dagster's own.
    ``run_pods`` names the teams whose runs are pods, in the file itself or in one beside it, which may change while we
    run; None where no team's can be.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    storage: str
    run_logs: str = ""
    run_logs_options: Mapping[str, str] = Field(default_factory=dict)
    run_log_link_seconds: int = Field(default=0, ge=0, le=3600)
    runs: int = Field(default=20, ge=1)
    trainings: int = Field(default=10, ge=1)
    team_runs: int = Field(default=8, ge=1)
    limits: tuple[Limit, ...] = ()
    pools: Mapping[str, Any] = Field(default_factory=dict)
    run_pods: Mapping[str, RunPods] | None = None

    @field_validator("storage")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        """Name the driver that is installed: SQLAlchemy 2.1 means another one by the bare word."""
        scheme, found, rest = url.partition("://")
        if not found or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("is no PostgreSQL URL: several pods cannot share another database")
        return f"postgresql+psycopg2://{rest}"


def of_environment(*, asked: bool = True) -> DagsterSettings:
    """Return what the environment file in force says; no vendor is bound.

    Unless ``asked``, the store of secrets is not: what names one then stands as the name.

    Raises:
        InvalidEnvironment: it says nothing, or something else than this.
        InvalidSpec: the file of ``run_pods`` cannot be read.
    """
    bound = environment.read(only=())
    if not bound.dagster:
        raise InvalidEnvironment(
            f"{bound.path}: nothing is said about dagster, whose pods share a database", f"add dagster: {{{EXAMPLE}}}"
        )
    said, beside = dict(bound.revealed("dagster") if asked else _unasked(bound.dagster)), None
    if isinstance(said.get("run_pods"), str):
        beside = load(bound.path.parent / said["run_pods"]) if said["run_pods"] else None
        said["run_pods"] = beside.data if beside else None
    try:
        found = DagsterSettings(**said)
    except ValidationError as error:
        place, field, message = validation.first(error.errors())
        is_beside = beside is not None and place[0] == "run_pods"
        where = beside.at(*place[1:]) if beside and is_beside else load(bound.path).at("dagster", *place)
        fields = RunPods.model_fields if place[0] == "run_pods" else DagsterSettings.model_fields
        raise InvalidEnvironment(f"{where}: dagster.{field}: {message}", f"fields are {', '.join(fields)}") from error
    if asked and _place(found.storage) == _place(bound.revealed("ledger")):
        raise InvalidEnvironment(
            f"{bound.path}: dagster.storage and ledger are one database, in which each would take the other's version "
            "of the tables for its own",
            "give each a database, or a schema, of its own",
        )
    if found.run_pods and run_pods.library_missing():
        raise InvalidEnvironment(
            f"{bound.path}: dagster.run_pods: dagster-k8s is not installed here",
            "install 'loopline[dagster-k8s]', or leave run_pods away: runs are then processes beside the code servers",
        )
    return found


def _unasked(said: Mapping[str, Any]) -> Mapping[str, Any]:
    storage = said.get("storage")
    names_one = isinstance(storage, str) and storage.startswith(SCHEME)
    return {**said, "storage": "postgresql://kept-as-a-secret"} if names_one else said


def _place(url: str) -> str:
    """Return what tells two databases of PostgreSQL apart: everything but the driver and who signs in."""
    return url.partition("://")[2].rpartition("@")[2]
