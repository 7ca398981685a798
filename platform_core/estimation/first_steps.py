"""Performance estimation for forecasts: the error of the first step, known early, scales the error of all steps.

Of rows of which everything has come the share that was missed is known, over all steps and of the first one. Of newer
rows only the first steps have come: by as much as more is missed of these, more will be missed in all. That follows a
change of the world, not only of what is asked, and comes a horizon before the labels do. That days are alike for many
series is not seen: intervals are as of independent rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, isfinite, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.estimation.estimation import Estimation, Meaning

if TYPE_CHECKING:
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.estimation.held_out import HeldOut
    from loopline.platform_core.metrics.forecasts import Steps
    from loopline.platform_core.metrics.metric import Figure, Floats, Metric

KEPT, FEWEST = 200, 30
"""Rows that a package keeps one by one, and rows of either sort without which nothing is made of them."""
DEVIATIONS, DAY_US = 1.96, 86_400_000_000
_ALL, _CAME, _FIRST, _FIRST_CAME = range(4)


@dataclass(frozen=True, eq=False)
class Missed:
    """Sums over rows, and over their products: missed and came over all steps, and of the first one."""

    rows: float
    sums: Floats
    products: Floats

    @classmethod
    def of(cls, parts: Floats) -> Missed:
        """Sum up (rows, 4)."""
        return cls(float(len(parts)), parts.sum(axis=0), parts.T @ parts)

    def __add__(self, other: Missed) -> Missed:
        """Return the rows of both."""
        return Missed(self.rows + other.rows, self.sums + other.sums, self.products + other.products)

    def share(self, missed: int, came: int) -> tuple[float, float]:
        """Return what share was missed, and a row's variance of its logarithm (delta method); 0 where nothing came."""
        if self.rows < FEWEST or self.sums[missed] <= 0 or self.sums[came] <= 0:
            return 0.0, float("inf")
        share, p = float(self.sums[missed] / self.sums[came]), self.products
        apart = p[missed, missed] - 2 * share * p[missed, came] + share**2 * p[came, came]
        return share, max(0.0, float(apart)) * self.rows / float(self.sums[missed]) ** 2


@dataclass(frozen=True, eq=False)
class Both:
    """Rows of which everything has come, and those of which only the first steps have."""

    whole: Missed
    begun: Missed

    def __add__(self, other: Both) -> Both:
        """Return the rows of both."""
        return Both(self.whole + other.whole, self.begun + other.begun)


@dataclass(frozen=True)
class FirstSteps(Meaning):
    """What share is missed in all, and by how many times more is missed of the first step now than then."""

    name: str
    counts: Both

    def agrees(self, older: FirstSteps) -> bool:
        """Hold shares over all steps against each other; of too few rows nothing is said against them."""
        (mine, own), (its, other) = (side.counts.whole.share(_ALL, _CAME) for side in (self, older))
        if not mine or not its:
            return True
        spread = own / self.counts.whole.rows + other / older.counts.whole.rows
        return abs(mine / its - 1) <= DEVIATIONS * sqrt(spread)

    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:  # noqa: ARG002
        """Yield the share that will be missed; its logarithm is taken to be normal."""
        from loopline.platform_core.metrics.metric import Figure

        whole, begun = self.counts.whole, self.counts.begun
        share, spread = whole.share(_ALL, _CAME)
        if not share or not len(raw) or self.name not in {metric.name for metric in metrics}:
            return
        variance = spread / whole.rows + spread / len(raw)
        then, was = whole.share(_FIRST, _FIRST_CAME)
        now, new = begun.share(_FIRST, _FIRST_CAME)
        if then and now:
            share, variance = share * now / then, variance + was / whole.rows + new / begun.rows
        if isfinite(variance):
            ends = (share * exp(side * DEVIATIONS * sqrt(variance)) for side in (-1, 1))
            yield Figure(self.name, share, *ends)


@dataclass(frozen=True)
class LossOfFirstSteps(Estimation):
    """Estimates the metric of a ``name``, a share of what came that was missed, from the step that is known first."""

    file: ClassVar[str] = "held_out_forecasts.json"
    early: ClassVar[bool] = True

    name: str

    def metrics(self, kind: Kind) -> tuple[str, ...]:
        """Name it."""
        return tuple(name for name in (self.name,) if name in kind.metrics)

    def held_out(self, kind: Kind, raw: Floats, labels: Floats) -> HeldOut:
        """Keep a few of the newest rows, and the sums of all before."""
        from loopline.platform_core.estimation.held_out import HeldOut

        before = self.counted(kind, raw[:-KEPT], labels[:-KEPT]).whole
        sums = tuple(_short(value) for value in (before.rows, *before.sums, *before.products.ravel()))
        return HeldOut(_listed(raw[-KEPT:]), _listed(labels[-KEPT:]), [sums])

    def counted(self, kind: Kind, raw: Floats, labels: Floats) -> Both:
        """Sum up what was missed."""
        import numpy as np

        steps = self._steps(kind)
        came = labels[:, : steps.horizon]
        missed = abs(steps.median(raw) - came)
        first = np.stack([missed[:, 0], abs(came[:, 0])], axis=1)
        parts = np.concatenate([np.stack([missed.sum(axis=1), abs(came).sum(axis=1)], axis=1), first], axis=1)
        whole, begun = steps.whole(labels), np.isfinite(first).all(axis=1)
        return Both(Missed.of(parts[whole]), Missed.of(np.nan_to_num(parts[begun & ~whole])))

    def older(self, kept: HeldOut) -> Both | None:
        """Return the sums."""
        import numpy as np

        if not kept.older:
            return None
        numbers = np.array(kept.older[0], dtype=np.float64)
        before = Missed(float(numbers[0]), numbers[1:5], numbers[5:].reshape(4, 4))
        return Both(before, Missed.of(np.zeros((0, 4))))

    def learnt(self, counts: Both) -> FirstSteps:
        """Return what they tell."""
        return FirstSteps(self.name, counts)

    def ahead_us(self, kind: Kind) -> int:
        """Return how much sooner the first step is known than the last."""
        return int((self._steps(kind).horizon - 1) * self._step_us(kind))

    def known(self, kind: Kind, labels: Floats, since_us: Floats) -> Floats:
        """Return labels without the steps that were not known so long (µs) after the first one could be."""
        import numpy as np

        steps = self._steps(kind)
        place = np.arange(labels.shape[1])
        later = (place[None, :] * self._step_us(kind) > since_us[:, None]) & (place < steps.horizon)
        return np.where(later, np.nan, labels)

    def _steps(self, kind: Any) -> Steps:
        steps: Steps = kind.steps
        return steps

    def _step_us(self, kind: Any) -> float:
        return float(kind.step_days) * DAY_US


def _listed(values: Floats) -> list[Any]:
    """Return numbers of at most five digits, NaN as None: they are written as text."""
    return [[None if value != value else _short(value) for value in row] for row in values.tolist()]  # noqa: PLR0124


def _short(value: float) -> float:
    return float(f"{value:.5g}")
