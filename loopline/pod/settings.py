"""What an environment file says about Dagster where its parts are apart: the key ``dagster``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import validation

EXAMPLE = 'storage: "postgresql://user:password@host/dagster"'


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
    store's options in ``run_logs_options``; "" leaves it in the pod that ran them. ``runs`` counts all, ``trainings``
    those of cycles, ``team_runs`` each team's; ``limits`` adds bounds by tag, ``pools`` is Dagster's own setting.
    """

    model_config = ConfigDict(extra="forbid")
    storage: str
    run_logs: str = ""
    run_logs_options: Mapping[str, str] = Field(default_factory=dict)
    runs: int = Field(default=20, ge=1)
    trainings: int = Field(default=10, ge=1)
    team_runs: int = Field(default=8, ge=1)
    limits: tuple[Limit, ...] = ()
    pools: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("storage")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        """Name the driver that is installed: SQLAlchemy 2.1 means another one by the bare word."""
        scheme, found, rest = url.partition("://")
        if not found or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("is no PostgreSQL URL: several pods cannot share another database")
        return f"postgresql+psycopg2://{rest}"


def of_environment() -> DagsterSettings:
    """Return what the environment file in force says; no vendor is bound.

    Raises:
        InvalidEnvironment: it says nothing, or something else than this.
    """
    bound = environment.read(only=())
    if not bound.dagster:
        raise InvalidEnvironment(
            f"{bound.path}: nothing is said about dagster, whose pods share a database", f"add dagster: {{{EXAMPLE}}}"
        )
    try:
        found = DagsterSettings(**bound.dagster)
    except ValidationError as error:
        _, field, message = validation.first(error.errors())
        raise InvalidEnvironment(
            f"{bound.path}: dagster.{field}: {message}", f"fields are {', '.join(DagsterSettings.model_fields)}"
        ) from error
    if _place(found.storage) == _place(bound.ledger):
        raise InvalidEnvironment(
            f"{bound.path}: dagster.storage and ledger are one database, in which each would take the other's version "
            "of the tables for its own",
            "give each a database, or a schema, of its own",
        )
    return found


def _place(url: str) -> str:
    """Return what tells two databases of PostgreSQL apart: everything but the driver and who signs in."""
    return url.partition("://")[2].rpartition("@")[2]
