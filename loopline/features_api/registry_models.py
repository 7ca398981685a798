"""Request and response models of the registry routes (OpenAPI schemas)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
APPLICATION = r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"
PLAIN = r"^[^\x00]*$"
"""PostgreSQL keeps no NUL in text."""
LARGEST = 999_999_999

Name = Annotated[str, Field(pattern=NAME, max_length=128)]
NameInPath = Annotated[str, Path(pattern=NAME, max_length=128)]
NameInQuery = Annotated[str | None, Query(pattern=NAME, max_length=128)]
TextInQuery = Annotated[str | None, Query(pattern=PLAIN, max_length=256)]
VersionInPath = Annotated[int, Path(ge=1, le=LARGEST)]
ApplicationInPath = Annotated[str, Path(pattern=APPLICATION, max_length=128)]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


class ViewOut(BaseModel):
    """A version of a feature view; ``features`` are Arrow types by name, ``meaning`` hashes what decides its values."""

    model_config = _example(
        team="retail",
        view="customer_history",
        version=1,
        state="active",
        entity="customer_id",
        time="invoiced_at",
        ttl_days=90.0,
        served="online",
        source="orders",
        owner="ada@example.org",
        description="Per customer and moment: orders and spend of 90 days.",
        features={"past_orders": "double", "past_spend": "double"},
        meaning="5f2c…",
        registered_at="2011-03-01T12:00:00Z",
        registered_by="platform",
        changed_at="2011-03-01T12:00:00Z",
    )
    team: str
    view: str
    version: int
    state: Literal["active", "retired"]
    entity: str
    time: str
    ttl_days: float | None
    served: str
    source: str
    owner: str
    description: str
    features: dict[str, str]
    meaning: str
    registered_at: datetime
    registered_by: str
    changed_at: datetime


class SourceOut(BaseModel):
    """A source, with the version that its contract's file states."""

    model_config = _example(
        team="retail",
        name="orders",
        contract="contracts/orders.v2.yaml",
        contract_version="1.0.0",
        arrives="daily",
        description="",
    )
    team: str
    name: str
    contract: str
    contract_version: str
    arrives: str
    description: str


class EntityOut(BaseModel):
    """An entity and the active versions of views that it keys."""

    model_config = _example(team="retail", entity="customer_id", views=["retail/customer_history@1"])
    team: str
    entity: str
    views: list[str]


class ReaderOut(BaseModel):
    """Who reads a version of a view: a live model version, a model as declared, or an application by its own word."""

    model_config = _example(
        team="retail",
        view="customer_history",
        version=1,
        kind="live",
        name="retail/cancellations",
        model_version="3",
        role="stable",
        contact="",
        since=None,
    )
    team: str
    view: str
    version: int
    kind: Literal["live", "model", "application"]
    name: str
    model_version: str
    role: str
    contact: str
    since: datetime | None


class MeantOut(BaseModel):
    """What a version meant from a time on."""

    at: datetime
    by: str
    what: str
    meaning: str
    code: list[str]


class FreshnessOut(BaseModel):
    """The newest event among the offline rows, and its age now by the platform's clock; null without rows."""

    newest_event: datetime | None
    age_seconds: float | None


class LineageOut(BaseModel):
    """From the source to the readers; ``raw``, ``offline`` and ``online`` name the tables between."""

    source: SourceOut | None
    raw: str
    offline: str
    online: str | None
    readers: list[ReaderOut]


class VersionOut(ViewOut):
    """A version of a feature view with all that is known of it."""

    lineage: LineageOut
    freshness: FreshnessOut
    history: list[MeantOut]


class ViewRead(BaseModel):
    """A version of a view that an application reads."""

    model_config = _example(team="retail", view="customer_history", version=1)
    team: Name
    view: Name
    version: Annotated[int, Field(ge=1, le=LARGEST)]


class Announcement(BaseModel):
    """An application says what it reads; it holds these versions until it withdraws."""

    model_config = _example(
        name="checkout",
        contact="ann@example.org",
        reads=[{"team": "retail", "view": "customer_history", "version": 1}],
    )
    name: Annotated[str, Field(pattern=APPLICATION, max_length=128)]
    contact: Annotated[str, Field(pattern=PLAIN, max_length=256)] = ""
    reads: Annotated[list[ViewRead], Field(min_length=1, max_length=1000)]


class Withdrawn(BaseModel):
    """How many versions an application no longer reads."""

    withdrawn: int


class RegistrationOut(BaseModel):
    """What a registration added, changed in meaning, and retired."""

    model_config = _example(added=["retail/customer_history@2"], changed=[], retired=[])
    added: list[str]
    changed: list[str]
    retired: list[str]
