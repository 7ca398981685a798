"""Calibration of multilabel probabilities: Platt scaling of each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.estimation.calibration import fit, logit
from loopline.platform_core.estimation.drawn import agreeing, figures
from loopline.platform_core.estimation.estimation import Meaning

if TYPE_CHECKING:
    from loopline.platform_core.estimation.calibration import Calibration
    from loopline.platform_core.estimation.class_meaning import ClassRows
    from loopline.platform_core.estimation.estimation import Kind
    from loopline.platform_core.foundation.distance import Floats
    from loopline.platform_core.metrics.metric import Figure, Metric


@dataclass(frozen=True, eq=False)
class AnyOfClasses(Meaning):
    """A line for each class, and how all classes of a row hang together: drawn as if they did not."""

    names: Sequence[str]
    lines: Sequence[Calibration]

    @classmethod
    def of(cls, names: Sequence[str], counts: ClassRows) -> AnyOfClasses:
        """Fit each class for itself."""
        return cls(names, [fit(counts.labels[:, one], counts.raw[:, one]) for one in range(counts.raw.shape[1])])

    @property
    def rows(self) -> int:
        """Count the rows by which it is known."""
        return self.lines[0].rows

    @property
    def line(self) -> Floats:
        """Return intercepts and slopes of all classes, one class after another."""
        return np.array([part for one in self.lines for part in (one.intercept, one.slope)])

    @property
    def covariance(self) -> Floats:
        """Return theirs; classes know nothing of each other."""
        found = np.zeros((2 * len(self.lines), 2 * len(self.lines)))
        for place, one in enumerate(self.lines):
            first, both, second = one.covariance
            found[2 * place : 2 * place + 2, 2 * place : 2 * place + 2] = [[first, both], [both, second]]
        return found

    def agrees(self, older: AnyOfClasses) -> bool:
        """Say whether all lines may be the same: Wald's test."""
        return agreeing(self.line - older.line, self.covariance + older.covariance)

    def estimated(self, kind: Kind, raw: Floats, metrics: Iterable[Metric]) -> Iterator[Figure]:
        """Draw classes by the chances that are believed."""
        logits = logit(raw)

        def draw(random: np.random.Generator, line: Floats, places: Any) -> Floats:
            chances = (1 + np.tanh((line[::2] + line[1::2] * logits[places]) / 2)) / 2
            drawn: Floats = (random.random(chances.shape) < chances).astype(np.float64)
            return drawn

        wanted = [metric for metric in metrics if metric.name in self.names]
        yield from figures(kind, raw, wanted, draw, (self.line, self.covariance))
