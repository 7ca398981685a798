"""Multiclass metrics: log loss, top-k accuracy, balanced accuracy, macro F1.

Sources: a mean of shares by the square-and-add of Zou, Huang and Zhang (2009); macro F1 by the delta method (Takahashi
and others, 2022).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Metric, Predictions
from loopline.platform_core.metrics.of_rows import MeanShare, MeanSurprise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class ClassLogLoss(MeanSurprise):
    """The mean surprise (nats) at the class that came."""

    def surprise(self, rows: Predictions, least: float) -> Floats:
        """Return each row's surprise."""
        import numpy as np

        return np.asarray(-np.log(_chances(rows).clip(least, 1)))


@dataclass(frozen=True)
class TopAccuracy(MeanShare):
    """The share of rows whose class is among the ``count`` likeliest; of equally likely classes the first counts."""

    _: KW_ONLY
    count: int = 1

    def of_rows(self, rows: Predictions) -> Floats:
        """Return 1 for each row that is a hit."""
        import numpy as np

        own, came = _chances(rows), rows.labels.astype(np.int64)[:, None]
        before = np.arange(rows.raw.shape[1]) < came
        ahead = (rows.raw > own[:, None]) | ((rows.raw == own[:, None]) & before)
        return np.asarray(ahead.sum(axis=1) < self.count, dtype=np.float64)

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the share with the interval of Wilson (1927)."""
        from loopline.platform_core.metrics import intervals

        return intervals.share(float(self.of_rows(rows).sum()), float(len(rows)))


@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """The mean of the classes' recalls; a class without a label has none."""

    def value(self, rows: Predictions) -> float | None:
        """Return the mean."""
        hits, came = _recalled(rows)
        return float((hits / came).mean()) if len(came) else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Put the classes' intervals of Wilson together; each class has rows of its own."""
        from loopline.platform_core.metrics import intervals

        found = [intervals.share(float(hit), float(all_)) for hit, all_ in zip(*_recalled(rows), strict=True)]
        return _together([one for one in found if one])


@dataclass(frozen=True)
class MacroF1(Metric):
    """The mean of the classes' F1; a class that neither came nor was predicted has none."""

    def value(self, rows: Predictions) -> float | None:
        """Return the mean."""
        hits, both = _agreed(rows)
        there = both > 0
        return float((2 * hits[there] / both[there]).mean()) if there.any() else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it on the logit scale by the spread of what each row adds; where all is right, or nothing, by shares.

        Where a class is rare the classes' own intervals, of Wilson, are wider than that; the wider one counts.
        """
        import numpy as np

        from loopline.platform_core.metrics import intervals

        value, (hits, both) = self.value(rows), _agreed(rows)
        if value is None or len(rows) < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        shares = [intervals.share(float(h), float(b - h)) for h, b in zip(hits, both, strict=True) if b]
        wide = _together([intervals.Interval(*(2 * part / (1 + part) for part in one)) for one in shares if one])
        if wide is None or not 0 < value < 1:
            return wide
        there, came, said = both > 0, rows.labels.astype(np.int64), rows.decided
        f1, size = np.where(there, 2 * hits / np.maximum(both, 1), 0.0), np.maximum(both, 1) / len(rows)
        added = 2 * (came == said) / size[came] - f1[came] / size[came] - f1[said] / size[said]
        spread = float(added.std(ddof=1)) / int(there.sum()) / sqrt(len(rows))
        narrow = intervals.on_logits(value, spread / (value * (1 - value)))
        return intervals.Interval(value, min(wide.low, narrow.low), max(wide.high, narrow.high))


def _chances(rows: Predictions) -> Floats:
    """Return what each row said of the class that came."""
    import numpy as np

    came = np.nan_to_num(rows.labels).astype(np.int64)
    said: Floats = rows.raw[np.arange(len(came)), came]
    return said


def _recalled(rows: Predictions) -> tuple[Floats, Floats]:
    """Count the hits and the rows of each class that came."""
    import numpy as np

    came, size = rows.labels.astype(np.int64), rows.raw.shape[1]
    all_ = np.bincount(came, minlength=size).astype(float)
    hits = np.bincount(came[rows.decided == came], minlength=size).astype(float)
    return hits[all_ > 0], all_[all_ > 0]


def _agreed(rows: Predictions) -> tuple[Floats, Floats]:
    """Count of each class the hits, and the rows that are of it or are said to be, those that are both twice."""
    import numpy as np

    came, size = rows.labels.astype(np.int64), rows.raw.shape[1]
    hits = np.bincount(came[rows.decided == came], minlength=size).astype(float)
    both = np.bincount(came, minlength=size) + np.bincount(rows.decided, minlength=size)
    return hits, both.astype(float)


def _together(shares: Sequence[Interval]) -> Interval | None:
    """Return the mean of shares, of other rows each."""
    from loopline.platform_core.metrics import intervals

    if not shares:
        return None
    value = sum(one.value for one in shares) / len(shares)
    down = sqrt(sum((one.value - one.low) ** 2 for one in shares)) / len(shares)
    up = sqrt(sum((one.high - one.value) ** 2 for one in shares)) / len(shares)
    return intervals.Interval(value, max(0.0, value - down), min(1.0, value + up))
