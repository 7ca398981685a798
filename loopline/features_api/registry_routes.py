"""HTTP routes of the feature registry: views, sources, entities, consumers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from loopline.features_api import registry_answers as answers
from loopline.features_api.registry_models import (
    LARGEST,
    PLAIN,
    Announcement,
    ApplicationInPath,
    EntityOut,
    NameInPath,
    NameInQuery,
    ReaderOut,
    RegistrationOut,
    SourceOut,
    TextInQuery,
    VersionInPath,
    VersionOut,
    ViewOut,
    Withdrawn,
)
from loopline.features_api.service import Given
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.features.registry.catalog import Wanted
from loopline.platform_core.features.registry.registry import FeatureRegistry
from loopline.platform_core.features.registry.view_ref import ViewRef

router = APIRouter(tags=["registry"])
By = Annotated[str, Query(pattern=PLAIN, max_length=256, description="who, for the ledger")]
Version = Annotated[int | None, Query(ge=1, le=LARGEST)]


@router.get("/features")
def features(  # noqa: PLR0913, PLR0917 - each is a filter
    service: Given,
    team: NameInQuery = None,
    entity: NameInQuery = None,
    owner: TextInQuery = None,
    source: NameInQuery = None,
    text: TextInQuery = None,
    state: Literal["active", "retired"] | None = None,
) -> list[ViewOut]:
    """List versions of feature views; `text` is looked for in names, features, owners and descriptions."""
    wanted = Wanted(team, entity, owner, source, text, state)
    return [answers.view_out(record) for record in catalog.views(service.platform.ledger, wanted)]


@router.get("/features/{team}/{view}")
def view_versions(service: Given, team: NameInPath, view: NameInPath) -> list[ViewOut]:
    """List the versions of a feature view, the oldest first."""
    return [answers.view_out(record) for record in catalog.versions(service.platform.ledger, team, view)]


@router.get("/features/{team}/{view}/versions/{version}")
def view_version(service: Given, team: NameInPath, view: NameInPath, version: VersionInPath) -> VersionOut:
    """Tell all of a version: its lineage from source to readers, its freshness, and what it meant before."""
    ref, platform = ViewRef(team, view, version), service.platform
    record = catalog.version(platform.ledger, ref)
    sources = {source.name: source for source in catalog.sources(platform.ledger, team)}
    readers = [reader for reader in catalog.who_reads(platform.ledger, team) if reader.view == ref]
    fresh, history = catalog.freshness(platform, ref), catalog.history(platform.ledger, ref)
    return answers.version_out(record, sources.get(record.meaning.source), readers, fresh, history)


@router.delete("/features/{team}/{view}/versions/{version}")
def retire(  # noqa: PLR0913, PLR0917 - what, who and why
    service: Given,
    team: NameInPath,
    view: NameInPath,
    version: VersionInPath,
    by: By = "api",
    reason: By = "retired by hand",
) -> ViewOut:
    """Retire a version that nothing reads and no team declares; else 409 says who does."""
    ref = ViewRef(team, view, version)
    return answers.view_out(FeatureRegistry(service.platform).retire(ref, by, reason, service.teams))


@router.get("/sources")
def sources(service: Given, team: NameInQuery = None) -> list[SourceOut]:
    """List sources with the versions of their contracts."""
    return [answers.source_out(record) for record in catalog.sources(service.platform.ledger, team)]


@router.get("/entities")
def entities(service: Given, team: NameInQuery = None) -> list[EntityOut]:
    """List entities and the active versions of views that they key."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in catalog.views(service.platform.ledger, Wanted(team, state="active")):
        found.setdefault((record.ref.team, record.meaning.entity), []).append(str(record.ref))
    return [EntityOut(team=team, entity=entity, views=names) for (team, entity), names in sorted(found.items())]


@router.get("/consumers")
def consumers(
    service: Given, team: NameInQuery = None, kind: Literal["live", "model", "application"] | None = None
) -> list[ReaderOut]:
    """List who reads which version of a view."""
    found = catalog.who_reads(service.platform.ledger, team)
    return [answers.reader_out(reader) for reader in found if kind in (None, reader.kind)]


@router.post("/consumers", status_code=201)
def announce(service: Given, announcement: Announcement) -> list[ReaderOut]:
    """Say that an application reads versions of views: they keep their meaning until it withdraws."""
    registry, views = FeatureRegistry(service.platform), answers.refs(announcement.reads)
    return [answers.reader_out(reader) for reader in registry.announce(announcement.name, views, announcement.contact)]


@router.delete("/consumers/{name}")
def withdraw(
    service: Given,
    name: ApplicationInPath,
    team: NameInQuery = None,
    view: NameInQuery = None,
    version: Version = None,
) -> Withdrawn:
    """Say that an application reads a version (team, view and version), or anything, no longer."""
    registry = FeatureRegistry(service.platform)
    if team is not None and view is not None and version is not None:
        return Withdrawn(withdrawn=registry.withdraw(name, ViewRef(team, view, version)))
    if (team, view, version) != (None, None, None):
        raise BadRequest("a version of a view is named by team, view and version", "give all three, or none of them")
    return Withdrawn(withdrawn=registry.withdraw(name))


@router.post("/teams/{team}/registration")
def register(service: Given, team: NameInPath, pretend: bool = False, by: By = "api") -> RegistrationOut:
    """Take over what an installed team declares, or (`pretend`) only say what that would do.

    The team is the one that this service loaded when it started; 409 says what forbids it.
    """
    return answers.registration_out(FeatureRegistry(service.platform).register(service.team(team), by, pretend=pretend))
