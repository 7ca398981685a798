"""Lookahead (leakage) check: features must stay the same when later raw rows are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.features.compute.changes import feature_names, news
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import FeatureView


def refuse_lookahead(engine: Engine, view: FeatureView, raw: pa.Table, computed: pa.Table) -> None:
    """Compute the view again on the raw rows up to the middle event, and compare.

    Raises:
        ContractBroken: a row up to the middle event depends on raw rows after it, so that a model would be
            trained on what it cannot be served.
    """
    from pyarrow import compute

    if view.served != "online" or not len(computed):
        return
    times = computed[EVENT_TIME]
    middle = times.take(compute.sort_indices(times))[(len(times) - 1) // 2]
    then = computed.filter(compute.less_equal(times, middle))
    again = engine.compute_view(view, raw.filter(compute.less_equal(raw[view.time], middle)))
    again = again.filter(compute.less_equal(again[EVENT_TIME], middle))  # a bucket may end later
    for rows, others in ((then, again), (again, then)):
        found = news(rows, others, view.entity).rows
        if len(found):
            raise _looks_ahead(view, found.slice(0, 1), others, middle)


def describe_difference(view: FeatureView, row: pa.Table, others: pa.Table) -> str:
    """Name the first feature in which a row is another than the row of the same key among ``others``."""
    one = row.to_pylist()[0]
    key = {name: one[name] for name in (view.entity, EVENT_TIME)}
    other = next((other for other in others.to_pylist() if key.items() <= other.items()), None)
    features = [name for name in feature_names(row, view.entity) if other and one[name] != other[name]]
    which = f"feature {features[0]!r}" if features else "the row"
    return f"{which} of {personal.shown(view.entity, one[view.entity])!r} at {one[EVENT_TIME]} is another"


def _looks_ahead(view: FeatureView, row: pa.Table, others: pa.Table, middle: pa.Scalar) -> ContractBroken:
    return ContractBroken(
        f"feature view {view.name!r} looks ahead: {describe_difference(view, row, others)} "
        f"when rows after {middle.as_py()} are left out",
        f"let a row rest on rows up to its own {view.time!r} only, for example by cum_sum().over(..., order_by=...)",
    )
