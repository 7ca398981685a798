"""Default ``fit`` of a model that searches among estimator families: fits the trial's family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.specs.examples import Estimator, Examples, Params, Report
    from loopline.platform_core.specs.search import Search
    from loopline.platform_core.targets import Target

_APART = 1_000
"""Steps of one family lie so far from another's: a network's third round says nothing of the third look at trees."""


def undeclared(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:  # noqa: ARG001 - a Fit
    """Stand where a model names no ``fit``; ``Model`` refuses it."""
    raise InvalidSpec("the model names nothing that fits", "give it fit=, or search=Search(estimators=(...))")


@dataclass(frozen=True)
class Automatic:
    """Fits as the trial says: ``family`` among the search's estimators, with its own parameters."""

    search: Search
    target: Target

    def __call__(self, train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
        """Fit by the family that the parameters name; see ``specs.examples.Fit``."""
        from loopline.platform_core.specs.families import Learning
        from loopline.platform_core.specs.search import FAMILY

        name = str(params[FAMILY])
        place = list(self.search.families).index(name)
        own = {key.removeprefix(f"{name}."): value for key, value in params.items() if key.startswith(f"{name}.")}

        def reported(step: int, score: float) -> None:
            report(place * _APART + step, score)

        given = self.search.families[name]
        if callable(given):
            return given(train, valid, own, reported)
        learning = Learning(
            self.target.learns, self.target.width, train, valid, lambda one, x: self._score(one, x, valid.y), reported
        )
        return given.fit(learning, own)

    def _score(self, estimator: Any, x: Floats, labels: Floats) -> float:
        """Measure what the search maximises; NaN where it is not defined, which ends no trial."""
        metric = self.target.metrics[self.search.metric or self.target.searched]
        value = metric.value(self.target.rows(labels, self.target.predictions(estimator, x)))
        if value is None:
            return float("nan")
        return -value if metric.better == "lower" else value
