"""Forecast metrics: WAPE, MASE, pinball loss, bias, interval coverage and width.

A row of labels holds the numbers that came over a horizon, then the last ones before them, oldest first, and last the
series' scale: by how much it misses itself a season later, on average over all its past. Whoever repeats the last
season has to be beaten (Hyndman and Koehler, 2006). Rows of which something has not come yet are not looked at: what is
near is easier to tell.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.errors import MeanOfRows
from loopline.platform_core.metrics.metric import Losses, Predictions

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Flags, Floats, Gap


@dataclass(frozen=True)
class Steps:
    """How many steps a forecast has, after how many a season comes again, and which quantiles it tells."""

    horizon: int
    season: int
    quantiles: tuple[float, ...]

    def came(self, rows: Predictions) -> Floats:
        """Return (rows, horizon) of what came."""
        return rows.labels[:, : self.horizon]

    def told(self, raw: Floats) -> Floats:
        """Return (rows, horizon, quantiles) of what was told."""
        return raw.reshape(len(raw), self.horizon, len(self.quantiles))

    def median(self, raw: Floats) -> Floats:
        """Return (rows, horizon) of what is expected: the quantile in the middle."""
        return self.told(raw)[:, :, len(self.quantiles) // 2]

    def mean(self, raw: Floats) -> Floats:
        """Return (rows, horizon) of the mean that quantiles suggest: each stands for its share of the cases.

        Of 0.1, 0.5 and 0.9 that is Swanson's rule: 0.3, 0.4 and 0.3 of them. Medians of what is rare do not add up:
        the median of a sum is more than the sum of medians.
        """
        import numpy as np

        levels = np.array(self.quantiles)
        edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
        return np.asarray(self.told(raw) @ np.diff(edges))

    def whole(self, labels: Floats) -> Flags:
        """Mark the rows of which everything has come."""
        import numpy as np

        return np.asarray(np.isfinite(labels[:, : self.horizon]).all(axis=1))

    def past(self, labels: Floats) -> Floats:
        """Return (rows, history) of what was before, oldest first."""
        return labels[:, self.horizon : -1]

    def scale(self, labels: Floats) -> Floats:
        """Return by how much each row's series misses itself a season later, NaN where nobody knows."""
        return labels[:, -1]

    def naive(self, labels: Floats) -> Floats:
        """Return (rows, horizon) of who repeats the last season; what is not known of it is 0."""
        import numpy as np

        last = np.nan_to_num(self.past(labels)[:, -self.season :])
        return np.asarray(last[:, np.arange(self.horizon) % self.season])


@dataclass(frozen=True)
class OfForecasts(MeanOfRows):
    """A mean over rows of which everything has come that the metric looks at."""

    unit: str | None = None
    of_groups: bool = False
    _: KW_ONLY
    steps: Steps

    def kept(self, rows: Predictions) -> Flags:
        """Mark the rows that count."""
        return self.steps.whole(rows.labels)

    def looked_at(self, rows: Predictions) -> int:
        """Count the rows that count."""
        return int(self.kept(rows).sum())

    def value(self, rows: Predictions) -> float | None:
        """Return the mean of the rows that count."""
        return super().value(rows.where(self.kept(rows)))

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with its interval, as if rows were independent."""
        from loopline.platform_core.metrics import intervals

        found = super().interval(rows.where(self.kept(rows)))
        least = 0.0 if self.better != "neither" or self.top == 1 else -float("inf")
        return intervals.Interval(found.value, max(least, found.low), min(self.top, found.high)) if found else None

    def gap(self, rows: Predictions, own: Flags, confidence: float) -> Gap | None:
        """Return a group's mean less the whole's, of rows that count."""
        if not self.of_groups:
            return None
        kept = self.kept(rows)
        return super().gap(rows.where(kept), own[kept], confidence)

    def errors(self, rows: Predictions) -> Floats:
        """Return (rows, horizon) by how much what was expected is above what came."""
        return self.steps.median(rows.raw) - self.steps.came(rows)


@dataclass(frozen=True)
class WeightedError(OfForecasts):
    """WAPE: all that was missed, as a share of all that came; None where nothing did."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's part of it, so that their mean is the metric."""
        missed, came = abs(self.errors(rows)).sum(axis=1), abs(self.steps.came(rows)).sum(axis=1)
        share = missed.sum() / came.sum()
        found: Floats = share + (missed - share * came) / came.mean()
        return found

    def value(self, rows: Predictions) -> float | None:
        """Return the share."""
        return super().value(rows) if self._came(rows) else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with the interval of a ratio of two means (the delta method)."""
        return super().interval(rows) if self._came(rows) else None

    def _came(self, rows: Predictions) -> bool:
        return bool(self.steps.came(rows.where(self.kept(rows))).any())


@dataclass(frozen=True)
class ScaledError(OfForecasts):
    """MASE: a row's mean absolute error beside that of its own past; below 1 it beats who repeats the last season.

    A row whose past never changes from season to season has no scale and does not count.
    """

    of_groups: bool = True

    def kept(self, rows: Predictions) -> Flags:
        """Leave out rows without a scale too."""
        kept: Flags = super().kept(rows) & (self.steps.scale(rows.labels) > 0)
        return kept

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's."""
        scaled: Floats = abs(self.errors(rows)).mean(axis=1) / self.steps.scale(rows.labels)
        return scaled

    def losses(self, rows: Predictions) -> Losses | None:
        """Return each row's, as a share of the largest that counts."""
        if not self.most:
            return None
        return Losses(self.of_rows(rows.where(self.kept(rows))).clip(0, self.most) / self.most, self.most)


@dataclass(frozen=True)
class PinballLoss(OfForecasts):
    """The mean pinball loss of all quantiles and steps, in the label's unit; half of the absolute error of a median."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's."""
        import numpy as np

        short = self.steps.came(rows)[:, :, None] - self.steps.told(rows.raw)
        levels = np.array(self.steps.quantiles)
        found: Floats = np.maximum(levels * short, (levels - 1) * short).mean(axis=(1, 2))
        return found


@dataclass(frozen=True)
class ForecastBias(OfForecasts):
    """By how much a step's forecast is above what came, on average."""

    better: Better = "neither"

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's mean error."""
        found: Floats = self.errors(rows).mean(axis=1)
        return found


@dataclass(frozen=True)
class Coverage(OfForecasts):
    """The share of what came that lies between the lowest and the highest quantile, ends included."""

    better: Better = "neither"
    top: float = 1.0

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's share."""
        told, came = self.steps.told(rows.raw), self.steps.came(rows)
        found: Floats = ((told[:, :, 0] <= came) & (came <= told[:, :, -1])).mean(axis=1)
        return found


@dataclass(frozen=True)
class IntervalWidth(OfForecasts):
    """How far the lowest and the highest quantile lie apart, on average; it needs no label."""

    better: Better = "neither"
    needs_labels: bool = False

    def kept(self, rows: Predictions) -> Flags:
        """Look at every row."""
        import numpy as np

        return np.ones(len(rows), np.bool_)

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's mean width."""
        told = self.steps.told(rows.raw)
        found: Floats = (told[:, :, -1] - told[:, :, 0]).mean(axis=1)
        return found
