"""Traffic for drift windows: all that an endpoint was asked, whichever version answered.

During a rollout a version answers for a part of the entities only, which is another mix than it has learnt from. So
inputs are looked at in the rows of all versions, and what a version answered where it answered all rows of a window.
Of a panel windows hold whole rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import Permanent
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.rollouts import raw
from loopline.platform_core.monitor.drift.answers import COLUMNS, answers
from loopline.platform_core.monitor.drift.rounds import Panel, bounds, distinct, numbered, rounds
from loopline.platform_core.monitor.drift.values import objects
from loopline.platform_core.runtime.model import manifest

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.drift.columns.base import Rows
    from loopline.platform_core.monitor.drift.drift_windows import Place
    from loopline.platform_core.monitor.drift.profile import Profile
    from loopline.platform_core.platform import Platform

LOOKED_AT = (*COLUMNS, raw.RAW, "keys")
ANSWERS = ("score", raw.RAW)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Rows of the prediction log in order, the round of each, and how many of them are in whole rounds."""

    rows: pa.Table
    numbers: Rows
    whole: int

    def windows(self, min_rows: int, at_most: int) -> Iterator[pa.Table]:
        """Cut whole rounds into even windows of at least ``min_rows``, at most ``at_most`` of them; none of too few."""
        cut = bounds(self.numbers[: self.whole], min_rows, at_most)
        return (self.rows.slice(start, end - start) for start, end in pairwise(cut.tolist()))


def traffic(  # noqa: PLR0913, PLR0917 - rows of a model, as a version reads them, between two places
    platform: Platform, ref: ModelRef, version: str, profile: Profile, after: Place | None, until: Place | None = None
) -> Traffic:
    """Read what an endpoint answered after one place up to another, as a version with this profile is held against it.

    Rows of versions that take one of its features from elsewhere are left out, with all of their rounds.
    """
    rows = answers(platform.lake, ref, None, after, until, LOOKED_AT)
    numbers, whole = _rounds(rows, profile.blocks.panel if profile.blocks else None)
    kept = np.asarray(pc.is_in(rows.column("version"), pa.array(_alike(platform, ref, version, rows), pa.string())))
    kept &= ~np.isin(numbers, numbers[~kept])
    return Traffic(rows.filter(pa.array(kept)), numbers[kept], int(kept[:whole].sum()))


def with_own_answers(window: pa.Table, version: str) -> pa.Table:
    """Return a window without scores unless the version answered all of it: a part of the entities proves nothing."""
    if pc.all(pc.equal(window.column("version"), version)).as_py():
        return window
    for name in ANSWERS:
        place = window.schema.get_field_index(name)
        window = window.set_column(place, name, pa.nulls(len(window), window.schema.field(name).type))
    return window


def _alike(platform: Platform, ref: ModelRef, version: str, rows: pa.Table) -> list[str]:
    """Name a version, and those others that answered rows and take all of its features from where it does."""
    others = [name for name in pc.unique(rows.column("version")).to_pylist() if name != version]
    own = _sources(platform, ref, version) if others else {}
    return [version, *(name for name in others if own and own.items() <= _sources(platform, ref, name).items())]


def _sources(platform: Platform, ref: ModelRef, version: str) -> dict[str, str]:
    """Return the view from which a version takes each feature, "" from the request; of one that is gone nothing."""
    try:
        found = manifest.load(packages.fetched(platform, ref, version))
    except Permanent:
        return {}
    views = {name: view.view for view in found.views for name in view.features}
    views |= {name: view.view for view in found.windows for name in view.features}
    return {feature.name: views.get(feature.name, "") for feature in found.features}


def _rounds(rows: pa.Table, panel: Panel | None) -> tuple[Rows, int]:
    """Number the rounds of rows, each row one where there is no panel; and count the rows of whole ones.

    The last round is whole once it has as many entities as the one before, or as one of the training set.
    """
    if panel is None or not len(rows):
        return np.arange(len(rows)), len(rows)
    asked = objects(rows.column("keys"))
    named = ([None if row.get(name) is None else str(row[name]) for row in asked] for name in panel.by)
    keys = numbered([pa.chunked_array([values], pa.string()) for values in named])
    times = np.asarray(rows.column("event_time").cast(pa.int64()).to_numpy() // 1_000_000, np.int64)
    numbers = rounds(times, keys, panel.seconds)
    counts = distinct(numbers, keys)
    wanted = counts[-2] if len(counts) > 1 else panel.entities
    return numbers, len(rows) if counts[-1] >= wanted else int((numbers < numbers[-1]).sum())
