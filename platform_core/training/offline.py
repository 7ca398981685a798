"""Historical feature retrieval: point-in-time features for given rows, or a model's training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, TypedDict

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.compute.row_scope import earlier, held_only
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, GONE, ModelRef, view_table
from loopline.platform_core.training import training_set
from loopline.platform_core.training.packaging.of_version import training_set_of

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.features.selection import RequestedView
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.training_set import TrainingSet

ModelVersionName = str
FEW_KEYS = 10_000
"""So many entities are looked for one by one; of more, the table is read whole."""


def historical(
    platform: Platform, team: Team, asked: Sequence[RequestedView], rows: pa.Table, as_of: datetime | None = None
) -> pa.Table:
    """Join rows point in time with features: each row gets what was known when its event happened.

    ``rows`` has the views' entities, ``event_time`` (UTC) and whatever else the caller wants back. With ``as_of``
    nothing counts that became known later, as if the question had been asked then.

    Returns:
        The caller's rows and columns in their order, then each feature under ``view:feature``.

    Raises:
        BadRequest: a column is missing, has another type or the name of a feature; a time has no zone.
        NotFound: a view was never materialized.
    """
    rows = _typed_time(rows)
    taken = sorted({name for each in asked for name in each.features} & set(rows.column_names))
    if taken:
        raise BadRequest(f"the rows have columns {taken} already", "leave them out: they are what is asked")
    views: list[ViewRows] = []
    for each in asked:
        table = view_table(team.name, each.view)
        nothing = platform.lake.read(table, until=date.min)
        rows = _typed_key(rows, each, nothing)
        held = platform.lake.read(table, **_needed(each, rows, [GONE] if GONE in nothing.column_names else []))
        views.append(_view_rows(each, held if as_of is None else _known(held, as_of), len(views)))
    joined = platform.engine.point_in_time(rows, views)
    return joined.rename_columns([*rows.column_names, *(name for each in asked for name in each.features)])


def training_rows(
    platform: Platform, team: Team, model: Model, when: datetime | ModelVersionName
) -> tuple[TrainingSet, pa.Table]:
    """Build a model's training set as of an instant, or the one that a version was trained on, bit for bit.

    Of the latter what is left since persons were erased; then it says how many rows are missing.

    Returns:
        What pins it, and its rows.

    Raises:
        NotFound: a table or such a version was never written, or no label is known by then.
        BadRequest: the instant has no time zone. ContractBroken: the version's rows cannot be had again.
    """
    if isinstance(when, datetime):
        _demand_zone(when)
        pinned = training_set.build(platform, team, model, when)
    else:
        pinned = training_set_of(platform.ledger, ModelRef(team.name, model.name), when)
        pinned = training_set.since_erasures(platform.ledger, pinned)
    return pinned, training_set.rows(platform, team, model, pinned)


class Needed(TypedDict):
    """What is read of a view's table: no more than the rows can be joined with."""

    columns: Sequence[str]
    since: date | None
    until: date | None
    among: Mapping[str, pa.Array]


def _needed(asked: RequestedView, rows: pa.Table, ended: Sequence[str]) -> Needed:
    """Leave out what happened after every row, what is past the TTL for each, and, of few entities, all others'."""
    from pyarrow import compute

    view, keys = asked.view, compute.unique(rows[asked.view.entity])
    first, last = (compute.min_max(rows[EVENT_TIME])[end].as_py() for end in ("min", "max"))
    oldest = None if first is None or view.ttl_days is None else earlier(first, view.ttl_days)
    return {
        "columns": [view.entity, EVENT_TIME, CREATED_AT, *_bare(asked), *ended],
        "since": oldest and oldest.date(),
        "until": last and last.date(),
        "among": {view.entity: keys} if len(keys) <= FEW_KEYS else {},
    }


def _bare(asked: RequestedView) -> list[str]:
    return [name.partition(":")[2] for name in asked.features]


def _view_rows(asked: RequestedView, held: pa.Table, number: int) -> ViewRows:
    """Take the columns that are asked, under names that no caller's column has."""
    ours = {name: f"__{number}_{name}" for name in _bare(asked)}
    return ViewRows(asked.view, held.rename_columns([ours.get(name, name) for name in held.column_names]))


def _known(held: pa.Table, as_of: datetime) -> pa.Table:
    import pyarrow as pa
    from pyarrow import compute

    _demand_zone(as_of)
    return held.filter(compute.less_equal(held[CREATED_AT], pa.scalar(as_of, pa.timestamp("us", "UTC"))))


def _typed_time(rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    kind = rows.schema.field(EVENT_TIME).type if EVENT_TIME in rows.column_names else None
    if kind is None or not pa.types.is_timestamp(kind) or kind.tz != "UTC":
        raise BadRequest(
            f"column {EVENT_TIME!r} is {kind or 'missing'}, no instant in UTC", "give a timestamp with time zone UTC"
        )
    rows = _cast(rows, EVENT_TIME, pa.timestamp("us", "UTC"))
    if len(held_only(rows, EVENT_TIME)) < len(rows):
        raise BadRequest(f"column {EVENT_TIME!r} lies outside the years 1 to 9999", "ask about instants that there are")
    return rows


def _typed_key(rows: pa.Table, asked: RequestedView, held: pa.Table) -> pa.Table:
    entity = asked.view.entity
    if entity not in rows.column_names:
        raise BadRequest(
            f"entity {entity!r} of feature view {asked.name!r} is missing", f"give the rows a column {entity!r}"
        )
    return _cast(rows, entity, held.schema.field(entity).type)


def _cast(rows: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    """Give a column the type that the join wants, if that changes no value."""
    import pyarrow as pa

    place = rows.column_names.index(name)
    try:
        return rows.set_column(place, name, rows[name].cast(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        problem = f"column {name!r} is {rows[name].type} and does not become {kind}: {error}"
        raise BadRequest(problem, f"give {kind}") from error


def _demand_zone(as_of: datetime) -> None:
    if as_of.tzinfo is None:
        raise BadRequest(f"as_of {as_of.isoformat()} has no time zone", "send it in UTC, such as 2026-01-31T12:00:00Z")
