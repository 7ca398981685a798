"""What a view's rows rest on, found out by computing it from less: its entity's own rows, and no older ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.features.changes import news
from loopline.platform_core.features.lookahead import describe_difference
from loopline.platform_core.features.reach import earlier
from loopline.platform_core.foundation.names import EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import FeatureView

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


def _alone(engine: Engine, view: FeatureView, raw: pa.Table, computed: pa.Table, half: pa.Array) -> bool:
    from pyarrow import compute

    then = computed.filter(compute.is_in(computed[view.entity], value_set=half))
    again = engine.compute_view(view, raw.filter(compute.is_in(raw[view.entity], value_set=half)))
    return not any(len(news(rows, others, view.entity).rows) for rows, others in ((then, again), (again, then)))


def _scalar(instant: object) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(instant, pa.timestamp("us", "UTC"))
