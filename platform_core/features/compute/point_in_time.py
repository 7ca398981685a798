"""Point-in-time join of label rows with feature views; the engine finds the row as of each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.features.compute.changes import feature_names
from loopline.platform_core.features.compute.retractions import unfolded
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.specs.views.features import FeatureView

Matches = tuple["NDArray[np.integer[Any]]", "NDArray[np.integer[Any]]"]
"""Places of labels' rows that found something, and for each the place of the view's row that counts."""
Matching = Callable[["pa.Table", Sequence["ViewRows"]], Iterable[Matches]]
"""An engine's part: for each view, in their order, its matches. Of the rows with the label's key whose event and
creation are not after the label's event time the one with the newest event counts, of several the one created last;
a null key or time matches nothing. Times come in UTC µs."""


def point_in_time(labels: pa.Table, views: Sequence[ViewRows], matching: Matching) -> pa.Table:
    """Join each label's row with the newest features that both happened and were known by its event time.

    An engine sees keys and times only. The features are taken by place, so their types stay and they are the same
    bit for bit whatever the engine.

    Returns:
        The labels' rows and columns in their order, then each view's features.

    Raises:
        ContractBroken: a time is not UTC, or a key has another type than in the labels.
        InvalidSpec: the labels lack a view's entity, or two columns have one name.
    """
    labels = _in_utc(labels, (EVENT_TIME,), "labels")
    utc = [ViewRows(each.view, _in_utc(each.rows, (EVENT_TIME, CREATED_AT), _what(each.view))) for each in views]
    for each in utc:
        _check(labels, each)
    _refuse_twice(labels, utc)
    told = [unfolded(each) for each in utc]
    asking = [each if way is None else way.rows for each, way in zip(utc, told, strict=True)]
    for each, way, found in zip(utc, told, matching(labels, asking), strict=True):
        matches = found if way is None else way.places(found)
        place = _unless_too_old(each, _spread(matches, len(labels)), labels[EVENT_TIME])
        for name in feature_names(each.rows, each.view.entity):
            labels = labels.append_column(each.rows.schema.field(name), _taken(each.rows[name], place))
    return labels.combine_chunks()


def _spread(matches: Matches, size: int) -> pa.Array:
    """Give every label a place; null where it found nothing."""
    import numpy as np
    import pyarrow as pa

    asking, found = matches
    place, nothing = np.zeros(size, np.int64), np.ones(size, np.bool_)
    place[asking], nothing[asking] = found, False
    return pa.array(place, mask=nothing)


def _unless_too_old(each: ViewRows, place: pa.Array, asked: pa.ChunkedArray) -> pa.Array:
    """Drop places of rows whose event lies more than ``ttl_days`` before the label's; exactly as old is not too old."""
    import pyarrow as pa
    from pyarrow import compute

    if each.view.ttl_days is None:
        return place
    event = _taken(each.rows[EVENT_TIME], place).cast(pa.int64())
    age_us = compute.subtract(asked.combine_chunks().cast(pa.int64()), event)
    limit_us = timedelta(days=each.view.ttl_days) // timedelta(microseconds=1)
    return compute.if_else(compute.less_equal(age_us, limit_us), place, None)


def _taken(values: pa.ChunkedArray, place: pa.Array) -> pa.Array:
    return values.combine_chunks().take(place)


def _check(labels: pa.Table, each: ViewRows) -> None:
    what, entity = _what(each.view), each.view.entity
    if entity not in labels.column_names:
        raise InvalidSpec(f"{what}: the labels have no column {entity!r}", "add it to the labels' entities")
    ours, theirs = (_key_type(table, entity) for table in (each.rows, labels))
    if ours != theirs:
        raise ContractBroken(f"{what}: {entity!r} is {ours} here and {theirs} in the labels", "give both one type")


def _refuse_twice(labels: pa.Table, views: Sequence[ViewRows]) -> None:
    there = set(labels.column_names)
    for each in views:
        features = set(feature_names(each.rows, each.view.entity))
        if twice := sorted(features & there):
            raise InvalidSpec(
                f"{_what(each.view)}: columns {twice} are there already", "give each feature of a model its own name"
            )
        there |= features


def _in_utc(table: pa.Table, names: Sequence[str], what: str) -> pa.Table:
    """Demand instants in UTC, and make them µs."""
    import pyarrow as pa

    for name in names:
        kind = table.schema.field(name).type if name in table.column_names else pa.null()
        if not pa.types.is_timestamp(kind) or kind.tz != "UTC":
            raise ContractBroken(
                f"{what}: {name!r} is {kind}, no instant in UTC", "give a timestamp with time zone UTC"
            )
        if kind.unit != "us":
            place = table.column_names.index(name)
            table = table.set_column(place, name, table[name].cast(pa.timestamp("us", "UTC")))
    return table


def _key_type(table: pa.Table, entity: str) -> str:
    """Name a key's type; how wide a text's offsets are makes no other key."""
    return str(table.schema.field(entity).type).removeprefix("large_")


def _what(view: FeatureView) -> str:
    return f"feature view {view.name!r}"
