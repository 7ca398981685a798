"""A team's functions over raw rows: Narwhals frames in, tables with the platform's columns out."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl

from platform_core.errors import ContractBroken, InvalidSpec, LooplineError, TaskFailed
from platform_core.names import ARRIVED_AT, CREATED_AT, EVENT_TIME, KNOWN_AT, LABEL, LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from platform_core.specs.features import FeatureView, FrameFunction
    from platform_core.specs.labels import Labels

INSTANT = pl.Datetime("us", "UTC")


def compute_view(view: FeatureView, raw: pa.Table) -> pa.Table:
    """Run a view over accepted raw rows.

    Returns:
        One row per entity and event time, sorted by both: entity, event_time, created_at, features.

    Raises:
        InvalidSpec: the view names a column that the raw rows, or its own, do not have.
        ContractBroken: its rows repeat, have no UTC time, or rest on rows that come after them.
        TaskFailed: its function raised.
    """
    what = f"feature view {view.name!r}"
    rows = _ordered(raw, (view.time, view.entity), what)
    computed = _run(view.compute, rows, what)
    features = _features(view, computed, what)
    keyed = _keyed(view, computed.select(view.entity, _instant(computed, view.time, EVENT_TIME, what), *features), what)
    created = pl.col(EVENT_TIME).alias(CREATED_AT)
    if view.served == "online":
        keyed, created = _with_arrivals(view, keyed, rows, what), pl.max_horizontal(EVENT_TIME, CREATED_AT)
    return _to_arrow(
        keyed.select(view.entity, EVENT_TIME, created.alias(CREATED_AT), *[f.meta.output_name() for f in features])
    )


def compute_labels(labels: Labels, raw: pa.Table) -> pa.Table:
    """Run the labels' function over accepted raw rows.

    Returns:
        One row per example, sorted by event time: entities, event_time, label (float64), known_at, segments.

    Raises:
        InvalidSpec, ContractBroken, TaskFailed: as for views.
    """
    what = f"labels {labels.name!r}"
    computed = _run(labels.compute, _ordered(raw, (), what), what)
    _demand(computed, (*labels.entities, labels.time, labels.label, labels.known_at, *labels.segments), what)
    table = computed.select(
        *[_plain(computed, name, what) for name in labels.entities],
        _instant(computed, labels.time, EVENT_TIME, what),
        pl.col(labels.label).cast(pl.Float64).alias(LABEL),
        _instant(computed, labels.known_at, KNOWN_AT, what),
        *[_plain(computed, name, what) for name in labels.segments],
    )
    odd = table.filter(~pl.col(LABEL).is_in([0.0, 1.0]))
    if odd.height:
        raise ContractBroken(f"{what}: label {odd[LABEL][0]} in {odd.height} rows", "return 0 or 1")
    return _to_arrow(table.sort(EVENT_TIME, *labels.entities, maintain_order=True))


def _ordered(raw: pa.Table, keys: Sequence[str], what: str) -> pl.DataFrame:
    """Sort raw rows by all that they hold, so that sums of floats come out the same bit for bit."""
    rows = pl.DataFrame(pl.from_arrow(raw))
    _demand(rows, (*keys, ARRIVED_AT), f"raw rows of {what}")
    first = [name for name in (*keys, LINE) if name in rows.columns]
    return rows.sort(first + [name for name in rows.columns if name not in first])


def _run(compute: FrameFunction, rows: pl.DataFrame, what: str) -> pl.DataFrame:
    contract_columns = rows.lazy().select([name for name in rows.columns if not name.startswith("_")])
    try:
        lazy: pl.LazyFrame = nw.to_native(compute(nw.from_native(contract_columns)))
        return pl.DataFrame(lazy.collect(engine="in-memory"))
    except LooplineError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise TaskFailed(f"{what} raised {said}", f"mend the function at {_place(compute, error)}") from error


def _place(compute: FrameFunction, error: Exception) -> str:
    """Return the function's own line that raised; its first where a lazy frame failed later."""
    code = getattr(compute, "__code__", None)
    if code is None:
        return repr(compute)
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    return f"{code.co_filename}:{own[-1] if own else code.co_firstlineno}"


def _features(view: FeatureView, computed: pl.DataFrame, what: str) -> list[pl.Expr]:
    _demand(computed, (view.entity, view.time), what)
    names = [name for name in computed.columns if name not in (view.entity, view.time)]
    taken = [name for name in names if name.startswith("_") or name in (EVENT_TIME, CREATED_AT, KNOWN_AT, LABEL)]
    if taken or not names:
        raise InvalidSpec(f"{what} has no feature, or features named as the platform's: {taken}", "name them otherwise")
    return [_plain(computed, name, what) for name in names]


def _keyed(view: FeatureView, rows: pl.DataFrame, what: str) -> pl.DataFrame:
    keyed = rows.with_columns(_plain(rows, view.entity, what)).drop_nulls([view.entity, EVENT_TIME])
    keyed = keyed.sort(EVENT_TIME, view.entity)
    repeated = keyed.select(view.entity, EVENT_TIME).is_duplicated()
    if repeated.any():
        one = keyed.filter(repeated).row(0, named=True)
        raise ContractBroken(
            f"{what} returns {repeated.sum()} rows that share their {view.entity!r} and {view.time!r}, "
            f"such as {one[view.entity]!r} at {one[EVENT_TIME]}",
            f"group by {view.entity!r} and {view.time!r}",
        )
    return keyed


def _with_arrivals(view: FeatureView, keyed: pl.DataFrame, raw: pl.DataFrame, what: str) -> pl.DataFrame:
    """Add when the last raw row arrived on which each row may rest: any of its entity up to its event time."""
    arrivals = (
        raw.select(_plain(raw, view.entity, what), _instant(raw, view.time, EVENT_TIME, what), ARRIVED_AT)
        .drop_nulls([view.entity, EVENT_TIME])
        .group_by(view.entity, EVENT_TIME)
        .agg(pl.col(ARRIVED_AT).max())
        .sort(EVENT_TIME, view.entity)
        .with_columns(pl.col(ARRIVED_AT).cum_max().over(view.entity).cast(INSTANT).alias(CREATED_AT))
        .drop(ARRIVED_AT)
    )
    found = keyed.join_asof(arrivals, on=EVENT_TIME, by=view.entity, check_sortedness=False)
    early = found.filter(pl.col(CREATED_AT).is_null())
    if early.height:
        one = early.row(0, named=True)
        raise ContractBroken(
            f"{what}: the row of {one[view.entity]!r} at {one[EVENT_TIME]} is older than every raw row of that "
            f"{view.entity!r}, so it rests on what came later",
            "give each row the time of the newest raw row it rests on; a bucket is known at its end, not at its start",
        )
    return found


def _demand(frame: pl.DataFrame, names: Sequence[str], what: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise InvalidSpec(f"{what}: no column {name!r}", f"use one of {', '.join(frame.columns)}")


def _instant(frame: pl.DataFrame, name: str, alias: str, what: str) -> pl.Expr:
    kind = frame.schema[name]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise ContractBroken(f"{what}: {name!r} is {kind}, no instant in UTC", "give a timestamp with time zone UTC")
    return pl.col(name).dt.convert_time_zone("UTC").cast(INSTANT).alias(alias)


def _plain(frame: pl.DataFrame, name: str, what: str) -> pl.Expr:
    """Type a column as int64, float64, string or truth value: what the lake, the store and the model share."""
    kind = frame.schema[name]
    for test, wanted in (
        (kind.is_integer(), pl.Int64()),
        (kind.is_numeric() or kind == pl.Null, pl.Float64()),
        (kind in (pl.String, pl.Categorical, pl.Enum), pl.String()),
        (kind == pl.Boolean, pl.Boolean()),
    ):
        if test:
            return pl.col(name).cast(wanted)
    raise ContractBroken(f"{what}: column {name!r} is {kind}", "return whole numbers, numbers, text or truth values")


def _to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Convert to Arrow with plain strings."""
    import pyarrow as pa

    table = frame.to_arrow()
    plain = [
        pa.field(f.name, pa.string()) if kind == pl.String else f
        for f, kind in zip(table.schema, frame.dtypes, strict=True)
    ]
    return table.cast(pa.schema(plain)).combine_chunks()
