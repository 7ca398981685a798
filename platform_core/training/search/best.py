"""Final model of a search: the best trial fitted again, or an ensemble of the best few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.training.evaluate import measured
from loopline.platform_core.training.search.average import Average, weighed
from loopline.platform_core.training.search.journal import Trial

if TYPE_CHECKING:
    from loopline.platform_core.specs import Estimator
    from loopline.platform_core.training.order import Order
    from loopline.platform_core.training.search.search import Fitting, SearchResult


def chosen(order: Order, fitting: Fitting, found: SearchResult) -> tuple[Estimator, Mapping[int, float]]:
    """Fit what is served, and say which trials are in it with what share: a found trial is no estimator."""
    trials = _best(order, found)
    fits = [fitting.fit(fitting.train, fitting.valid, one.params, lambda _step, _score: None) for one in trials]
    if len(fits) == 1:
        return fits[0], {trials[0].number: 1.0}
    target, valid = order.model.target, fitting.valid
    raw = [target.predictions(one, valid.x) for one in fits]
    weights, _ = weighed(raw, lambda mean: measured(target, order.model.searched, valid.y, mean))
    shares = {trials[at].number: weight for at, weight in weights.items()}
    members = tuple(fits[at] for at in weights)
    return members[0] if len(members) == 1 else Average(target, members, tuple(weights.values())), shares


def _best(order: Order, found: SearchResult) -> Sequence[Trial]:
    """Return the trials that may be in it, the best first, no parameters twice."""
    complete = sorted(
        (one for one in found.trials if one.value is not None), key=lambda one: (-(one.value or 0.0), one.number)
    )
    differing: list[Trial] = []
    for one in complete:
        if all(one.params != other.params for other in differing):
            differing.append(one)
    return differing[: max(1, order.model.search.ensemble)] or [Trial(0, dict(found.params), found.score, [])]
