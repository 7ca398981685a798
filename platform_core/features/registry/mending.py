"""Check that a changed definition may replace a failing view: it must mean the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.features.compute.changes import gone, last_of_each, living, news
from loopline.platform_core.features.compute.row_scope import Reach, Tables
from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.failing import is_failing
from loopline.platform_core.features.registry.watermarks import standing
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_table

if TYPE_CHECKING:
    from loopline.platform_core.features.registry.meaning import Meaning
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team


def is_mended(platform: Platform, team: Team, ref: ViewRef, before: Meaning, after: Meaning) -> bool:
    """Say whether a changed view means what it meant, as far as that can be shown.

    It fails as it was, nothing but its code changed, and on the raw rows up to which it was materialized the new code
    gives every row that its table holds, and no other.
    """
    view = next((each for each in team.views if ref_of(team, each) == ref), None)
    if view is None or replace(before, code=after.code) != after or not is_failing(platform, ref):
        return False
    try:
        return _gives_the_same(Tables(platform, team, view))
    except LooplineError:  # it fails on those rows, or they are there no more
        return False


def _gives_the_same(tables: Tables) -> bool:
    view, stands = tables.view, standing(tables)
    if stands.version is None or stands.done < 0:
        return False
    name, keys = view_table(tables.team.name, view), [view.entity, EVENT_TIME]
    held = living(last_of_each(tables.platform.lake.read(name), keys, by=CREATED_AT))
    computed = tables.computed(tables.raw(stands.done, Reach()), Reach())
    return not len(news(computed, held, view.entity).rows) and not len(gone(computed, held, view.entity))
