"""Multilabel metrics of 0/1 labels (rows, classes): log loss, subset accuracy, Jaccard index, ranking precision, F1.

A class is taken to hold where its chance reaches ``threshold``. Sources: label ranking average precision by Tsoumakas,
Katakis and Vlahavas (2010); F1 by the delta method (Takahashi and others, 2022), rows being what was drawn.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Metric, Predictions
from loopline.platform_core.metrics.of_rows import MeanShare, MeanSurprise

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class LabelLogLoss(MeanSurprise):
    """The mean surprise (nats) at whether a class holds, of all rows and classes."""

    def surprise(self, rows: Predictions, least: float) -> Floats:
        """Return each row's surprise at a class, on average."""
        import numpy as np

        own = np.where(rows.labels > 0, rows.raw, 1 - rows.raw)
        return np.asarray(-np.log(own.clip(least, 1)).mean(axis=1))


@dataclass(frozen=True)
class _ShareOfRows(MeanShare):
    """A mean of shares, whose interval is that of a mean."""

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the mean with its interval, within what there is."""
        from loopline.platform_core.metrics import intervals

        found = super().interval(rows)
        return intervals.Interval(found.value, max(0.0, found.low), min(1.0, found.high)) if found else None


@dataclass(frozen=True)
class SubsetAccuracy(MeanShare):
    """The share of rows of which each class is said right."""

    needs_decision: bool = True
    _: KW_ONLY
    threshold: float = 0.5

    def of_rows(self, rows: Predictions) -> Floats:
        """Return 1 for each row that is right."""
        right: Floats = ((rows.raw >= self.threshold) == (rows.labels > 0)).all(axis=1).astype(float)
        return right

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the share with the interval of Wilson (1927)."""
        from loopline.platform_core.metrics import intervals

        return intervals.share(float(self.of_rows(rows).sum()), float(len(rows)))


@dataclass(frozen=True)
class Jaccard(_ShareOfRows):
    """Of the classes that hold or are said to, the share that both do; a row of none of them is right."""

    needs_decision: bool = True
    _: KW_ONLY
    threshold: float = 0.5

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's share."""
        import numpy as np

        said, came = rows.raw >= self.threshold, rows.labels > 0
        both, either = (said & came).sum(axis=1), (said | came).sum(axis=1)
        return np.where(either, both / np.maximum(either, 1), 1.0)


@dataclass(frozen=True)
class LabelRanking(_ShareOfRows):
    """Of each class that holds: the share that hold of those as likely or likelier; 1 where all hold, or none."""

    of_groups: bool = False

    def of_rows(self, rows: Predictions) -> Floats:
        """Return each row's mean."""
        import numpy as np

        came, size = rows.labels > 0, rows.raw.shape[1]
        ahead = rows.raw[:, None, :] >= rows.raw[:, :, None]  # (rows, class, those as likely)
        share = (ahead & came[:, None, :]).sum(axis=2) / ahead.sum(axis=2)
        hold = came.sum(axis=1)
        mean = (share * came).sum(axis=1) / np.maximum(hold, 1)
        return np.where((hold == 0) | (hold == size), 1.0, mean)


@dataclass(frozen=True)
class LabelF1(Metric):
    """F1 of all classes' rows together, or (``by_class``) the mean of the classes' own.

    A class that neither came nor was said has none.
    """

    needs_decision: bool = True
    _: KW_ONLY
    threshold: float = 0.5
    by_class: bool = False

    def value(self, rows: Predictions) -> float | None:
        """Return it."""
        twice, both = self._parts(rows)
        hits, whole = twice.sum(axis=0), both.sum(axis=0)
        return float((hits[whole > 0] / whole[whole > 0]).mean()) if (whole > 0).any() else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it on the logit scale by the spread of what each row adds; where all is right, or nothing, by shares.

        The wider of both counts: of a rare class few rows tell.
        """
        from loopline.platform_core.metrics import intervals

        value, (twice, both) = self.value(rows), self._parts(rows)
        if value is None or len(rows) < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        there = both.sum(axis=0) > 0
        twice, both = twice[:, there], both[:, there]
        hits, whole, kinds = twice.sum(axis=0), both.sum(axis=0), twice.shape[1]
        shares = [intervals.share(hit / 2, all_ - hit / 2) for hit, all_ in zip(hits, whole, strict=True)]
        ends = [intervals.Interval(*(2 * part / (1 + part) for part in one)) for one in shares if one]
        down = sqrt(sum((one.value - one.low) ** 2 for one in ends)) / kinds
        up = sqrt(sum((one.high - one.value) ** 2 for one in ends)) / kinds
        wide = intervals.Interval(value, max(0.0, value - down), min(1.0, value + up))
        if not 0 < value < 1:
            return wide
        added = ((twice - hits / whole * both) / (whole / len(rows))).sum(axis=1) / kinds
        spread = float(added.std(ddof=1)) / sqrt(len(rows))
        narrow = intervals.on_logits(value, spread / (value * (1 - value)))
        return intervals.Interval(value, min(wide.low, narrow.low), max(wide.high, narrow.high))

    def _parts(self, rows: Predictions) -> tuple[Floats, Floats]:
        """Return of each row and class, or of all classes: twice the hits, and what came and what was said."""
        said, came = (rows.raw >= self.threshold).astype(float), (rows.labels > 0).astype(float)
        twice, both = 2 * said * came, said + came
        if self.by_class:
            return twice, both
        return twice.sum(axis=1, keepdims=True), both.sum(axis=1, keepdims=True)
