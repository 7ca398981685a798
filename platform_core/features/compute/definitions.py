"""Runs feature views and label functions over raw rows, with any engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.features.compute.frames import (
    Frames,
    blaming,
    demand,
    feature,
    instant,
    plain,
    run,
    settled,
)
from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME, KNOWN_AT, LABEL, LINE
from loopline.platform_core.specs.views.windowed import windowed
from loopline.platform_core.specs.views.windows import Windows

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

    from loopline.platform_core.specs.labels import Labels
    from loopline.platform_core.specs.views.features import FeatureView

NOTHING_YET = datetime(1900, 1, 1, tzinfo=UTC)
"""Before any raw row arrived; Spark reads literals before 1582 by another calendar."""
_COMPUTED = "_computed"


def compute_view(frames: Frames, view: FeatureView, raw: pa.Table) -> pa.Table:
    """Run a view over accepted raw rows.

    Returns:
        One row per entity and event time, sorted by both: entity, event_time, created_at, features.

    Raises:
        InvalidSpec: the view names a column that the raw rows, or its own, do not have.
        ContractBroken: its rows repeat, have no UTC time, or rest on rows that come after them.
        TaskFailed: its function raised.
    """
    what = f"feature view {view.name!r}"
    _demand_key(view, raw.column_names)
    demand(raw.column_names, (ARRIVED_AT,), f"raw rows of {what}")
    if isinstance(view.compute, Windows):
        return _windowed(view, view.compute, raw, what)
    rows = frames.ordered(raw, _first(raw, view.time, view.entity), view.entity)
    computed, schema = run(view.compute, rows, what)
    names = _feature_names(view, schema, what)
    keys = [plain(schema, view.entity, what), instant(schema, view.time, EVENT_TIME, what)]
    keyed = computed.select(*keys, *[feature(schema, name, what) for name in names])
    keyed = keyed.drop_nulls([view.entity, EVENT_TIME])
    created = _with_arrivals(view, keyed, rows, what) if view.served == "online" else _known_then(keyed)
    with blaming(view.compute, what):
        table = frames.collect(
            created.select(view.entity, EVENT_TIME, CREATED_AT, *names).sort(EVENT_TIME, view.entity)
        )
    table = settled(table, what)
    _refuse_repeated(view, table, what)
    return _created(view, table, what)


def _windowed(view: FeatureView, windows: Windows, raw: pa.Table, what: str) -> pa.Table:
    """Let events go through the state that a stream's scorer keeps: no engine computes them otherwise."""
    with blaming(windows, what):
        rows = windowed(windows, raw).rename_columns({view.time: EVENT_TIME})
    names = [name for name in rows.column_names if name not in (view.entity, EVENT_TIME)]
    _refuse_names(names, what)
    known = rows.append_column(CREATED_AT, rows[EVENT_TIME]).select([view.entity, EVENT_TIME, CREATED_AT, *names])
    return known.sort_by([(EVENT_TIME, "ascending"), (view.entity, "ascending")]).combine_chunks()


def compute_labels(frames: Frames, labels: Labels, raw: pa.Table) -> pa.Table:
    """Run the labels' function over accepted raw rows.

    Returns:
        One row per example, sorted by event time: entities, event_time, label, known_at, segments.
        A label is float64 or text, or a list of either, of any length..

    Raises:
        InvalidSpec, ContractBroken, TaskFailed: as for views.
    """
    what = f"labels {labels.name!r}"
    demand(raw.column_names, (ARRIVED_AT,), f"raw rows of {what}")
    together = next((name for name in labels.entities if name in raw.column_names), None)
    computed, schema = run(labels.compute, frames.ordered(raw, _first(raw, labels.time), together), what)
    demand(list(schema), (*labels.entities, labels.time, labels.label, labels.known_at, *labels.segments), what)
    table = computed.select(
        *[plain(schema, name, what) for name in labels.entities],
        instant(schema, labels.time, EVENT_TIME, what),
        _label(schema[labels.label], labels.label, what),
        instant(schema, labels.known_at, KNOWN_AT, what),
        *[plain(schema, name, what) for name in labels.segments],
    )
    with blaming(labels.compute, what):
        order = [EVENT_TIME, *labels.entities, KNOWN_AT, LABEL, *labels.segments]
        if _is_list(schema[labels.label]):  # by which not every engine sorts
            order.remove(LABEL)
        found = frames.collect(table.sort(*order))
    return _settled_labels(found, what)


def _label(kind: nw.dtypes.DType, name: str, what: str) -> nw.Expr:
    """Take a label as a number, as text where it is one, or as a list; which labels are right, a target says."""
    import narwhals as nw

    inner = kind.inner if isinstance(kind, nw.List | nw.Array) else kind
    if isinstance(inner, nw.List | nw.Array | nw.Struct):
        raise InvalidSpec(f"{what}: labels {name!r} are {kind}", "return numbers, texts, or lists of either")
    wanted = nw.String() if inner in {nw.String, nw.Categorical, nw.Enum} else nw.Float64()
    return nw.col(name).cast(nw.List(wanted) if _is_list(kind) else wanted).alias(LABEL)


def _is_list(kind: nw.dtypes.DType) -> bool:
    import narwhals as nw

    return isinstance(kind, nw.List | nw.Array)


def _settled_labels(found: pa.Table, what: str) -> pa.Table:
    """Settle the columns as a view's, but for labels that are lists, which may have any length."""
    import pyarrow as pa

    place = found.column_names.index(LABEL)
    kind = found.schema.field(LABEL).type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return settled(found, what)
    inner = pa.float64() if pa.types.is_floating(kind.value_type) else pa.string()
    rest = settled(found.drop_columns([LABEL]), what)
    return rest.add_column(place, LABEL, found[LABEL].cast(pa.list_(inner)).combine_chunks())


def _first(raw: pa.Table, *keys: str) -> list[str]:
    return [name for name in (*keys, LINE) if name in raw.column_names]


def _demand_key(view: FeatureView, columns: Sequence[str]) -> None:
    """Refuse a view whose entity or time is no column of its source.

    Raises:
        InvalidSpec: with all that it lacks, and the source's columns.
    """
    named = {"entity": view.entity, "time": view.time}
    missing = [f"{name!r} ({role})" for role, name in named.items() if name not in columns]
    if missing:
        own = ", ".join(name for name in columns if not name.startswith("_"))
        raise InvalidSpec(
            f"feature view {view.name!r}: its source {view.source.name!r} has no column {', '.join(missing)}",
            f"entity and time must be columns of its source: name two of {own}, or add them to {view.source.contract}",
        )


def _feature_names(view: FeatureView, schema: nw.Schema, what: str) -> list[str]:
    demand(list(schema), (view.entity, view.time), f"rows that {what} returns")
    names = [name for name in schema if name not in (view.entity, view.time)]
    _refuse_names(names, what)
    return names


def _refuse_names(names: Sequence[str], what: str) -> None:
    taken = [name for name in names if name.startswith("_") or name in (EVENT_TIME, CREATED_AT, KNOWN_AT, LABEL)]
    if taken or not names:
        raise InvalidSpec(f"{what} has no feature, or features named as the platform's: {taken}", "name them otherwise")


def _known_then(keyed: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    import narwhals as nw

    return keyed.with_columns(nw.col(EVENT_TIME).alias(CREATED_AT))


def _with_arrivals(view: FeatureView, keyed: nw.LazyFrame[Any], raw: nw.LazyFrame[Any], what: str) -> nw.LazyFrame[Any]:
    """Add when the last raw row arrived on which each row may rest: any of its entity up to its event time.

    Arrivals and computed rows stand in one frame, at one moment the arrivals first; so a running maximum is enough
    and no engine needs an as-of join.
    """
    import narwhals as nw

    schema = raw.collect_schema()
    moment = [plain(schema, view.entity, what), instant(schema, view.time, EVENT_TIME, what)]
    arrivals = (
        raw.select(*moment, instant(schema, ARRIVED_AT, CREATED_AT, what))
        .drop_nulls([view.entity, EVENT_TIME])
        .group_by(view.entity, EVENT_TIME)
        .agg(nw.col(CREATED_AT).max())
    )
    both = nw.concat(
        [
            arrivals.with_columns(nw.lit(0).alias(_COMPUTED)),
            keyed.with_columns(nw.lit(NOTHING_YET).alias(CREATED_AT), nw.lit(1).alias(_COMPUTED)),
        ],
        how="diagonal",
    )
    so_far = nw.col(CREATED_AT).cum_max().over(view.entity, order_by=[EVENT_TIME, _COMPUTED])
    return both.with_columns(so_far).filter(nw.col(_COMPUTED) == 1)


def _refuse_repeated(view: FeatureView, table: pa.Table, what: str) -> None:
    """Look at neighbours: the rows are sorted by both keys."""
    import numpy as np
    from pyarrow import compute

    keys = [table[name].combine_chunks() for name in (view.entity, EVENT_TIME)]
    same = [np.asarray(compute.equal(key[1:], key[:-1])) for key in keys]
    again = np.concatenate([[False], same[0] & same[1], [False]])
    repeated = np.flatnonzero(again[1:] | again[:-1])
    if len(repeated):
        one, at = (key[repeated[0]].as_py() for key in keys)
        raise ContractBroken(
            f"{what} returns {len(repeated)} rows that share their {view.entity!r} and {view.time!r}, "
            f"such as {one!r} at {at}",
            f"group by {view.entity!r} and {view.time!r}",
        )


def _created(view: FeatureView, table: pa.Table, what: str) -> pa.Table:
    """Let ``created_at`` be the later of event and last arrival, and refuse rows before every arrival."""
    import pyarrow as pa
    from pyarrow import compute

    arrived = table[CREATED_AT]
    early = compute.index(arrived, pa.scalar(NOTHING_YET, arrived.type)).as_py()
    if early >= 0:
        raise ContractBroken(
            f"{what}: the row of {table[view.entity][early].as_py()!r} at {table[EVENT_TIME][early].as_py()} is older "
            f"than every raw row of that {view.entity!r}, so it rests on what came later",
            "give each row the time of the newest raw row it rests on; a bucket is known at its end, not at its start",
        )
    created = compute.if_else(compute.less(table[EVENT_TIME], arrived), arrived, table[EVENT_TIME])
    return table.set_column(table.column_names.index(CREATED_AT), CREATED_AT, created)
