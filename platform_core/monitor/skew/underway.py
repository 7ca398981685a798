"""Materializations in progress, during which online rows may be ahead of offline ones; for the skew check."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.features.registry import failing
from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.watermarks import progress
from loopline.platform_core.foundation.names import BEGUN_AT, CREATED_AT, view_table

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


def is_behind(platform: Platform, team: Team, view: FeatureView) -> bool:
    """Say whether raw rows are there that the view is to follow, and may be following; a view that fails is not."""
    return not progress(platform, team, view).nothing_new and not failing.is_failing(platform, ref_of(team, view))


def offline_since(platform: Platform, team: Team, view: FeatureView) -> int:
    """Return when the newest materialization that is offline began (µs since 1970): those before it are over.

    An answer of a later time may rest on a row that is online and not offline yet.
    """
    table, lake = view_table(team.name, view), platform.lake
    known = lake.read(table, until=date.min).schema.names
    name = BEGUN_AT if BEGUN_AT in known else CREATED_AT
    return int(pc.max(lake.read(table, columns=[name])[name].cast(pa.int64())).as_py() or 0)
