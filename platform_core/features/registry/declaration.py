"""A team's feature declarations, in the form that the registry stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.features.registry.meaning import meaning_of
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import SourceRecord, ViewRecord

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


@dataclass(frozen=True)
class Declaration:
    """Versions of views, sources in order of name, and pairs of ``team/model`` and a version that it declares."""

    team: str
    views: Mapping[ViewRef, ViewRecord]
    sources: list[SourceRecord]
    models: set[tuple[str, ViewRef]]


def declaration(platform: Platform, team: Team, by: str) -> Declaration:
    """Find out what a team declares; each view runs once, on no rows.

    Raises:
        InvalidSpec, TaskFailed: a view does not run, or a contract cannot be read.
    """
    models = {(f"{team.name}/{model.name}", ref_of(team, view)) for model in team.models for view in model.features}
    views = {ref_of(team, view): _record(platform, team, view, by) for view in team.views}
    return Declaration(team.name, views, list(_sources(team)), models)


def ref_of(team: Team, view: FeatureView) -> ViewRef:
    """Name the version that a team declares."""
    return ViewRef(team.name, view.name, view.version)


def _record(platform: Platform, team: Team, view: FeatureView, by: str) -> ViewRecord:
    from loopline.platform_core.specs.contracts.odcs import contract_of

    now = platform.clock.now()
    owner, meaning = view.owner or team.owner, meaning_of(platform, view, contract_of(team, view.source))
    return ViewRecord(ref_of(team, view), "active", owner, view.description, meaning, now, by, now)


def _sources(team: Team) -> Iterator[SourceRecord]:
    from loopline.platform_core.specs.contracts.odcs import contract_of

    for source in team.sources:
        version = contract_of(team, source).version
        yield SourceRecord(team.name, source.name, source.contract, version, source.arrives, source.description)
