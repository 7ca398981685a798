"""Recommendation metrics: recall@k, NDCG, hit rate, coverage, novelty, popularity bias.

A row's label holds the places of the wanted items in rising order, NaN where there are fewer than others have; its raw
prediction holds k places, the best first, and then their k scores. Sources: recall with the denominator of Liang and
others (2018), gain by Järvelin and Kekäläinen (2002), the spread of a count of kinds by Colwell and others (2012) with
the jackknife of Burnham and Overton (1979), novelty as self-information (Vargas and Castells, 2011).
"""

from __future__ import annotations

import abc
from dataclasses import KW_ONLY, dataclass
from math import sqrt
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.errors import MeanOfRows
from loopline.platform_core.metrics.metric import Gap, Metric, Predictions
from loopline.platform_core.metrics.of_rows import MeanShare

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Better, Flags, Floats

TWO_SIDED = 1.96


@dataclass(frozen=True)
class _OfList(MeanShare):
    """The mean of what each row's list is worth, from 0 to 1; ``k`` is how many items a list has."""

    _: KW_ONLY
    k: int

    @property
    def title(self) -> str:
        """Name it with the length of its list."""
        return f"{super().title.removesuffix(' at k')} at {self.k}"

    @abc.abstractmethod
    def of_rows(self, rows: Predictions) -> Floats:
        """Return what each list is worth."""

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the mean as Wilson (1927) has a share, of as many rows as a share of this spread would come of."""
        from loopline.platform_core.metrics import intervals

        worth = self.of_rows(rows)
        if len(worth) < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        mean, spread = float(worth.mean()), float(worth.var(ddof=1))
        as_share = mean * (1 - mean) / spread if spread > 0 else 1.0
        return intervals.share(mean * as_share * len(worth), as_share * len(worth))


@dataclass(frozen=True)
class RecallAtK(_OfList):
    """The share of the wanted items that is in the list, of those that have room in it."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Divide hits by as many as there could be."""
        hits, wanted = found(rows)
        share: Floats = hits.sum(axis=1) / wanted.clip(1, hits.shape[1])
        return share


@dataclass(frozen=True)
class GainAtK(_OfList):
    """The normalised discounted cumulative gain: hits count the more the higher they stand."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Divide the gain by that of a list that begins with the wanted items."""
        import numpy as np

        hits, wanted = found(rows)
        weights = 1 / np.log2(np.arange(hits.shape[1]) + 2)
        best = weights.cumsum()[wanted.clip(1, hits.shape[1]) - 1]
        return np.asarray((hits @ weights / best).clip(0, 1), dtype=np.float64)


@dataclass(frozen=True)
class HitRate(_OfList):
    """The share of rows whose list has a wanted item."""

    def of_rows(self, rows: Predictions) -> Floats:
        """Return 1 where there is one."""
        return found(rows)[0].any(axis=1).astype(float)


@dataclass(frozen=True)
class Coverage(Metric):
    """The share of all items that is in a list of these rows: the more rows there are, the more it may be."""

    better: Better = "neither"
    needs_labels: bool = False
    _: KW_ONLY
    items: int

    def value(self, rows: Predictions) -> float | None:
        """Count them."""
        return len(_counts(rows)) / self.items if len(rows) and self.items else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it with what as many other rows might show: items that are in one list alone tell how far it goes."""
        from loopline.platform_core.metrics import intervals

        value = self.value(rows)
        if value is None or len(rows) < intervals.LEAST_ROWS_OF_A_KIND:
            return None
        counts = _counts(rows)
        seen, once = len(counts), int((counts == 1).sum()) + 0.5
        spread = TWO_SIDED * sqrt(seen * (1 - seen / (seen + once))) / self.items
        return intervals.Interval(value, max(0.0, value - spread), min(1.0, value + spread))


@dataclass(frozen=True)
class _OfPopularity(MeanOfRows):
    """A mean that rests on how popular each item is: a share of users; not defined where nobody said that."""

    better: Better = "neither"
    of_groups: bool = True
    _: KW_ONLY
    popularity: tuple[float, ...] = ()

    def value(self, rows: Predictions) -> float | None:
        """Return it where popularity is known."""
        return super().value(rows) if self.popularity else None

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it where popularity is known."""
        return super().interval(rows) if self.popularity else None

    def gap(self, rows: Predictions, own: Flags, confidence: float) -> Gap | None:
        """Return it where popularity is known."""
        return super().gap(rows, own, confidence) if self.popularity else None

    def known(self, places: Floats) -> Floats:
        """Return the popularity of each place, NaN where there is none."""
        import numpy as np

        there = np.isfinite(places)
        shares = np.asarray(self.popularity)[np.where(there, places, 0).astype(np.int64)]
        return np.where(there, shares, np.nan)


@dataclass(frozen=True)
class Novelty(_OfPopularity):
    """How surprising a list's items are, in bits on average: an item that one of 1,024 users knows has ten."""

    unit: str | None = "bits"
    needs_labels: bool = False

    def of_rows(self, rows: Predictions) -> Floats:
        """Return the mean surprise of each list."""
        import numpy as np

        surprise: Floats = -np.log2(self.known(_listed(rows))).mean(axis=1)
        return surprise


@dataclass(frozen=True)
class PopularityBias(_OfPopularity):
    """By how much the items of a list are more popular than those that were wanted, as a share of users."""

    unit: str | None = None
    top: float = 1.0

    def of_rows(self, rows: Predictions) -> Floats:
        """Return the difference of both means."""
        import numpy as np

        beyond: Floats = self.known(_listed(rows)).mean(axis=1) - np.nanmean(self.known(_wanted(rows)), axis=1)
        return beyond


def found(rows: Predictions) -> tuple[Flags, NDArray[np.int64]]:
    """Mark which items of each list (rows, k) were wanted, and count how many were wanted (rows,)."""
    import numpy as np

    listed, wanted = _listed(rows).astype(np.int64), _wanted(rows)
    there = np.isfinite(wanted)
    row = np.arange(len(listed))[:, None]
    apart = int(max(np.max(listed, initial=0), np.nanmax(wanted, initial=0))) + 1
    keys = (row * apart + np.where(there, wanted, 0).astype(np.int64))[there]
    return np.isin(row * apart + listed, keys), there.sum(axis=1)


def _listed(rows: Predictions) -> Floats:
    """Return the places of each list."""
    return rows.raw[:, : rows.raw.shape[1] // 2]


def _wanted(rows: Predictions) -> Floats:
    """Return the places of what was wanted, NaN behind them."""
    return rows.labels if rows.labels.ndim > 1 else rows.labels[:, None]


def _counts(rows: Predictions) -> NDArray[np.int64]:
    """Count how often each item that is in a list is in one."""
    import numpy as np

    return np.unique(_listed(rows), return_counts=True)[1]
