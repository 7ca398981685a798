"""Point-in-time features of a batch's rows, in the order of a version's matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import InvalidSpec, NotFound
from loopline.platform_core.features.compute.view_features import view_features
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, GONE, online_view, view_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.runtime.model.manifest import Manifest, ViewField
    from loopline.platform_core.specs import FeatureView, Model, Team

SERVED_EVENT = "_row_event_time"
"""When the view's row that was joined happened (µs), null where none was."""
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Gathered:
    """Rows as given; the features of each; and the online views that had no row of it, or one too old."""

    rows: pa.Table
    features: pa.Table
    missing: list[list[str]]
    stale: list[list[str]]


def gathered(platform: Platform, team: Team, model: Model, manifest: Manifest, rows: pa.Table) -> Gathered:
    """Join rows (entities, ``event_time``) with every view of a version; a feature among their columns is taken as is.

    Raises:
        NotFound: a view is not declared any more, or was never materialized. InvalidSpec: nothing gives a feature.
    """
    missing: list[list[str]] = [[] for _ in range(len(rows))]
    stale: list[list[str]] = [[] for _ in range(len(rows))]
    columns = {name: rows[name] for name in rows.column_names}
    for field in manifest.views:
        joined = _joined(platform, team, _declared(team, field), field.features, rows)
        is_there = pc.is_valid(joined[SERVED_EVENT])
        age = pc.subtract(rows[EVENT_TIME].cast(pa.int64()), joined[SERVED_EVENT])
        limit = None if field.ttl_days is None else field.ttl_days * DAY_US
        is_fresh = is_there if limit is None else pc.fill_null(pc.less_equal(age, limit), fill_value=False)
        _mark_missing(field.view, is_there, is_fresh, missing, stale)
        for name in field.features:
            columns[name] = pc.if_else(is_fresh, joined[name], pa.scalar(None, joined[name].type))
    wanted = [field.name for field in manifest.features if field.name not in columns]
    for view, names in _requested(platform, team, model, wanted):
        joined = _joined(platform, team, view, names, rows)
        columns |= {name: joined[name] for name in names}
    return Gathered(rows, _selected(manifest, columns), missing, stale)


def _declared(team: Team, field: ViewField) -> FeatureView:
    declared = {online_view(team.name, view): view for view in team.views}
    if field.view not in declared:
        raise NotFound(
            f"the version reads {field.view!r}, which team {team.name!r} no longer declares",
            "declare that version of the view until no live model reads it",
        )
    return declared[field.view]


def _requested(
    platform: Platform, team: Team, model: Model, wanted: Sequence[str]
) -> list[tuple[FeatureView, list[str]]]:
    """Find the views that are served from the request, whose tables hold what a caller would have sent."""
    from loopline.platform_core.specs.contracts.odcs import contract_of

    views = [
        view_features(platform, view, contract_of(team, view.source))
        for view in model.features
        if view.served == "request"
    ]
    return [(each.view, names) for each in views if (names := [name for name in each.names if name in wanted])]


def _joined(platform: Platform, team: Team, view: FeatureView, features: Sequence[str], rows: pa.Table) -> pa.Table:
    """Join one view's offline rows, too old ones as well; with the event time of the row that was joined."""
    until = pc.max(rows[EVENT_TIME]).as_py()
    table = view_table(team.name, view)
    ended = [GONE] if GONE in platform.lake.read(table, until=date.min).column_names else []
    columns = [view.entity, EVENT_TIME, CREATED_AT, *features, *ended]
    held = platform.lake.read(table, columns=columns, until=until and until.date())
    held = held.append_column(SERVED_EVENT, held[EVENT_TIME].cast(pa.int64()))
    asked = rows.select([EVENT_TIME]).append_column(
        view.entity, rows[view.entity].cast(held.schema.field(view.entity).type)
    )
    return platform.engine.point_in_time(asked, [ViewRows(replace(view, ttl_days=None), held)])


def _mark_missing(
    view: str, is_there: pa.ChunkedArray, is_fresh: pa.ChunkedArray, missing: list[list[str]], stale: list[list[str]]
) -> None:
    for place, (there, fresh) in enumerate(zip(is_there.to_pylist(), is_fresh.to_pylist(), strict=True)):
        if not fresh:
            (stale if there else missing)[place].append(view)


def _selected(manifest: Manifest, columns: dict[str, pa.ChunkedArray]) -> pa.Table:
    names = [field.name for field in manifest.features]
    nowhere = [name for name in names if name not in columns]
    if nowhere:
        raise InvalidSpec(
            f"nothing gives the batch of {manifest.model} its {', '.join(nowhere)}",
            "let the batch's view return it, or a view of the model that is served from the request",
        )
    return pa.table({name: columns[name] for name in names})
