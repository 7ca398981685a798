"""Regression metrics: mean absolute error, bias, root mean squared error, R²."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Gap, Losses, Metric, Predictions

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Flags, Floats


@dataclass(frozen=True)
class MeanOfRows(Metric):
    """The mean of what each row misses by.

    ``most`` is what a row counts as at most where rows are compared; None: they are not, and ``most_by`` names the
    setting that says it.
    """

    better: Better = "lower"
    top: float = float("inf")
    of_groups: bool = True
    unit: str | None = ""
    _: KW_ONLY
    most: float | None = None
    most_by: str = ""

    def of_rows(self, rows: Predictions) -> Floats:
        """Return by how much each row misses."""
        missed: Floats = abs(rows.raw - rows.labels)
        return missed

    def of_mean(self, mean: float) -> float:
        """Return the metric of the mean of what rows miss by: the mean itself."""
        return mean

    def value(self, rows: Predictions) -> float | None:
        """Return it for labelled rows."""
        return self.of_mean(float(self.of_rows(rows).mean())) if len(rows) else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the mean by Student's t, corrected for skewness (Hall, 1992)."""
        from loopline.platform_core.metrics import intervals

        found = intervals.mean(self.of_rows(rows))
        return intervals.Interval(*map(self.of_mean, found)) if found else None

    def gap(self, rows: Predictions, own: Flags, confidence: float) -> Gap | None:
        """Return a group's mean less the whole's, from that of the rest."""
        from loopline.platform_core.metrics import intervals

        values, rest = self.of_rows(rows), float((~own).mean()) if len(own) else 0.0
        found, alone = intervals.apart(values[own], values[~own], confidence), intervals.mean(values[own])
        if not self.of_groups or found is None or alone is None:
            return None
        return Gap(alone, int(own.sum()), intervals.Interval(*(rest * part for part in found)))


@dataclass(frozen=True)
class MeanError(MeanOfRows):
    """The mean absolute error."""

    @property
    def not_compared(self) -> str:
        """Ask for what a row counts as at most."""
        return "" if self.most else f"say in the model's target what an error counts as at most: {self.most_by}=..."

    def losses(self, rows: Predictions) -> Losses | None:
        """Return each row's error, as a share of the largest that counts."""
        return Losses(self.of_rows(rows).clip(0, self.most) / self.most, self.most) if self.most else None


@dataclass(frozen=True)
class Bias(MeanOfRows):
    """The mean of predicted less real: above 0 too much is predicted."""

    better: Better = "neither"

    def of_rows(self, rows: Predictions) -> Floats:
        """Return signed errors."""
        return rows.raw - rows.labels


@dataclass(frozen=True)
class RootMeanSquare(MeanOfRows):
    """The root of the mean squared error."""

    of_groups: bool = False

    def of_rows(self, rows: Predictions) -> Floats:
        """Return squared errors."""
        squared: Floats = (rows.raw - rows.labels) ** 2
        return squared

    def of_mean(self, mean: float) -> float:
        """Return the root."""
        return sqrt(max(0.0, mean))


@dataclass(frozen=True)
class DeterminationCoefficient(Metric):
    """The share of the labels' variance that is explained, R²; below 0 the mean would have done better."""

    followed: bool = False

    def value(self, rows: Predictions) -> float | None:
        """Hold squared errors against those of the mean; None where labels are all alike."""
        spread = float(rows.labels.var()) if len(rows) else 0.0
        return 1 - float(((rows.raw - rows.labels) ** 2).mean()) / spread if spread else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with the interval of the mean squared error; the labels' variance is taken as known."""
        from loopline.platform_core.metrics import intervals

        value, squared = self.value(rows), intervals.mean((rows.raw - rows.labels) ** 2)
        if value is None or squared is None:
            return None
        spread = float(rows.labels.var())
        return intervals.Interval(value, 1 - squared.high / spread, min(1.0, 1 - squared.low / spread))
