"""Failing views: recorded in the ledger, with an alarm if something live reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.alarms import events
from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.plan import holders
from loopline.platform_core.features.registry.readers import readers
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sites import site_redaction

if TYPE_CHECKING:
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

FAILED, RECOVERED = "feature_view.failed", "feature_view.recovered"


def failed(platform: Platform, team: Team, view: FeatureView, error: LooplineError) -> None:
    """Write down that a view fails, and tell people if a live version or an application is served from it."""
    ref = ref_of(team, view)
    error = site_redaction.error_told(platform, f"feature view {ref} fails", error)
    if not is_failing(platform, ref):
        _record(platform, FAILED, ref, error.problem)
    with platform.ledger.reading() as connection:
        by = holders(ref, readers(connection, team.name))
    if by:
        events.failing_view(platform, ref, by, error)


def works(platform: Platform, team: Team, view: FeatureView) -> None:
    """Write down that a view that failed does so no longer."""
    ref = ref_of(team, view)
    if is_failing(platform, ref):
        _record(platform, RECOVERED, ref, "")
        events.failing_view(platform, ref, "", None)


def is_failing(platform: Platform, ref: ViewRef) -> bool:
    """Say whether a version of a view failed the last time that it was materialized."""
    told = platform.ledger.entries(ModelRef(ref.team, ""), [FAILED, RECOVERED], newest_first=True)
    own = (entry for entry in told if (entry.details["view"], entry.version) == (ref.view, str(ref.version)))
    newest = next(own, None)
    return newest is not None and newest.kind == FAILED


def _record(platform: Platform, kind: str, ref: ViewRef, problem: str) -> None:
    said = f"{ref}: {problem}" if problem else str(ref)
    entry = Entry(
        kind, platform.clock.now(), ref.team, version=str(ref.version), reason=said, details={"view": ref.view}
    )
    platform.ledger.record(entry)
