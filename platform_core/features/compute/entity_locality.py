"""Entity locality check: whether a view's rows or labels depend only on their own entity's raw rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken, LooplineError
from loopline.platform_core.features.compute.changes import news
from loopline.platform_core.features.compute.lookahead import describe_difference
from loopline.platform_core.features.compute.row_scope import Reach, earlier, held_only
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import FeatureView, Labels

_CUTS = (0.25, 0.5, 0.75)
"""Where among their times labels are cut; each part is computed from the raw rows within its reach alone."""
_MOMENTS = (0.5, 0.9)
"""Where among the events a view is computed again without what lies further back than it says."""


def rests_on_its_entity(engine: Engine, view: FeatureView, raw: pa.Table, computed: pa.Table) -> bool:
    """Say whether every entity's rows come out the same when every other entity's raw rows are left out.

    Asked of both halves; with fewer than two entities nothing is known, and the answer is no.
    """
    import pyarrow as pa
    from pyarrow import compute

    if view.entity not in raw.column_names:
        return False
    entities = compute.unique(raw[view.entity]).drop_null().sort()
    halves = [entities.take(pa.array(range(first, len(entities), 2), pa.int64())) for first in (0, 1)]
    return len(entities) > 1 and all(_alone(engine, view, raw, computed, half) for half in halves)


def refuse_short_lookback(engine: Engine, view: FeatureView, raw: pa.Table, computed: pa.Table) -> None:
    """Compute the view again without the raw rows that lie further back than it says, and compare.

    Raises:
        ContractBroken: a row rests on raw rows that are older than ``lookback_days`` before it.
    """
    from pyarrow import compute

    if view.lookback_days is None or not len(computed):
        return
    times = computed[EVENT_TIME].take(compute.sort_indices(computed[EVENT_TIME]))
    for share in _MOMENTS:
        moment = times[int((len(times) - 1) * share)].as_py()
        oldest = earlier(moment, view.lookback_days)
        then = computed.filter(compute.greater_equal(computed[EVENT_TIME], _scalar(moment)))
        again = engine.compute_view(view, raw.filter(compute.greater_equal(raw[view.time], _scalar(oldest))))
        again = again.filter(compute.greater_equal(again[EVENT_TIME], _scalar(moment)))
        for rows, others in ((then, again), (again, then)):
            found = news(rows, others, view.entity).rows
            if len(found):
                raise ContractBroken(
                    f"feature view {view.name!r} looks back further than {view.lookback_days} days: "
                    f"{describe_difference(view, found.slice(0, 1), others)} when rows before {oldest} are left out",
                    "raise lookback_days to what the function reaches, or leave it out",
                )


def refuse_short_reach(engine: Engine, labels: Labels, raw: pa.Table, computed: pa.Table) -> None:
    """Compute labels again from the raw rows within their declared reach, and compare.

    Raises:
        ContractBroken: a label rests on raw rows that are further away than ``reach_days``.
    """
    if told := short_reach(engine, labels, raw, computed):
        raise ContractBroken(
            f"labels {labels.name!r} reach further than {labels.reach_days:g} days: {told}",
            "raise reach_days to what the function reaches, before or after a label's time, or leave it out",
        )


def short_reach(engine: Engine, labels: Labels, raw: pa.Table, computed: pa.Table) -> str:
    """Say which label is another where raw rows beyond its declared reach are left out; "" where none is.

    All labels are computed again, part by part of their times; with nothing declared, or no label, none is.
    """
    import pyarrow as pa
    from pyarrow import compute

    if labels.reach_days is None or not len(computed):
        return ""
    if labels.time not in raw.column_names or not pa.types.is_timestamp(raw.schema.field(labels.time).type):
        return f"raw rows have no time {labels.time!r}"
    times = computed[EVENT_TIME].take(compute.sort_indices(computed[EVENT_TIME]))
    cuts = dict.fromkeys(times[int((len(times) - 1) * share)].as_py() for share in _CUTS)
    for since, until in pairwise([None, *cuts, None]):
        part, among = Reach(None, since, until), Reach(None, since, until).widened(labels.reach_days)
        try:
            again = engine.compute_labels(labels, among.of(held_only(raw, labels.time), labels.time))
        except LooplineError as error:
            return f"{error.problem} when rows {_outside(among)} are left out"
        own, again = (part.of(held_only(rows, EVENT_TIME), EVENT_TIME) for rows in (computed, again))
        if not same_labels(own, again):
            return f"{_differing(labels, own, again)} when rows {_outside(among)} are left out"
    return ""


def same_labels(one: pa.Table, other: pa.Table) -> bool:
    """Say whether labels are the same, in whatever order."""
    return bool(_sorted(one).equals(_sorted(other)))


def _sorted(labels: pa.Table) -> pa.Table:
    """Sort labels by all that they say, so that they can be compared; no number is as unequal to itself as NaN is."""
    plain = labels.set_column(labels.column_names.index(LABEL), LABEL, _comparable(labels[LABEL]))
    return plain.sort_by([(name, "ascending") for name in plain.column_names]).combine_chunks()


def _comparable(label: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return labels as what can be sorted, lists as text."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_list(label.type):
        return pa.chunked_array([[None if one is None else repr(one) for one in label.to_pylist()]], pa.string())
    if not pa.types.is_floating(label.type):
        return label
    return compute.if_else(compute.is_nan(label), pa.scalar(None, label.type), label)


def _differing(labels: Labels, one: pa.Table, other: pa.Table) -> str:
    """Name a label that is among one side's only."""
    for rows, others in ((one, other), (other, one)):
        there = {repr(row) for row in others.to_pylist()}
        for row in rows.to_pylist():
            if repr(row) not in there:
                keys = [personal.shown(name, row[name]) for name in labels.entities]
                return f"that of {keys} at {row[EVENT_TIME]} is another"
    return "one comes more often"


def _outside(reach: Reach) -> str:
    told = ((f"before {reach.since}", reach.since), (f"from {reach.until} on", reach.until))
    return " and ".join(word for word, bound in told if bound is not None)


def _alone(engine: Engine, view: FeatureView, raw: pa.Table, computed: pa.Table, half: pa.Array) -> bool:
    from pyarrow import compute

    then = computed.filter(compute.is_in(computed[view.entity], value_set=half))
    again = engine.compute_view(view, raw.filter(compute.is_in(raw[view.entity], value_set=half)))
    return not any(len(news(rows, others, view.entity).rows) for rows, others in ((then, again), (again, then)))


def _scalar(instant: object) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(instant, pa.timestamp("us", "UTC"))
