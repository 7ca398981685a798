"""Metrics that are shares of rows, such as accuracy, precision and recall; and F1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Gap, OfChances, Predictions, Ranked, ratio

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Flags, Floats

Count = Callable[["Floats", "Flags"], tuple["Floats | Flags", "Floats | Flags"]]
"""``count(chances, flagged)``: with what weight each row is looked at, and with what weight it is a hit."""


@dataclass(frozen=True)
class Share(OfChances):
    """A share of rows."""

    needs_decision: bool = True
    _: KW_ONLY
    count: Count

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Divide hits by rows, of each set."""
        looked, hits = self.count(chances, ranked.flagged)
        return ratio(_sums(hits, chances), _sums(looked, chances))

    def interval(self, rows: Predictions) -> Interval | None:
        """Return the share with the interval of Wilson (1927)."""
        from loopline.platform_core.metrics import intervals

        looked, hits = self.marked(rows)
        return intervals.share(float(hits.sum()), float(looked.sum()))

    def gap(self, rows: Predictions, own: Flags, confidence: float) -> Gap | None:
        """Return a group's share of hits less the whole's, from that of the rest (Newcombe, 1998)."""
        from loopline.platform_core.metrics import intervals

        looked, hits = self.marked(rows)
        own, hits = own[looked], hits[looked]
        sides = (own, ~own)
        mine, rest = (intervals.share(float(hits[side].sum()), int(side.sum()), confidence) for side in sides)
        alone = intervals.share(float(hits[own].sum()), int(own.sum()))
        if mine is None or rest is None or alone is None:
            return None
        return Gap(alone, int(own.sum()), intervals.beyond_whole(mine, rest, float((~own).mean())))

    def looked_at(self, rows: Predictions) -> int:
        """Count the rows of which it is a share."""
        return int(self.marked(rows)[0].sum())

    def marked(self, rows: Predictions) -> tuple[Flags, Flags]:
        """Mark the rows that are looked at, and those that are hits; NaN is no label, and counts as negative."""
        looked, hits = self.count((rows.labels > 0).astype(float), rows.decided)
        return looked > 0, hits > 0


@dataclass(frozen=True)
class F1(OfChances):
    """The harmonic mean of recall and precision."""

    needs_decision: bool = True

    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Divide twice the hits by the flagged and the positives."""
        hits = (chances * ranked.flagged).sum(axis=1)
        return ratio(2 * hits, chances.sum(axis=1) + ranked.flagged.sum())

    def interval(self, rows: Predictions) -> Interval | None:
        """Return it from the hits' share J of all rows that are flagged or positive: F1 is 2 J / (1 + J)."""
        from loopline.platform_core.metrics import intervals

        positive, flagged = rows.labels > 0, rows.decided
        found = intervals.share(float((positive & flagged).sum()), float((positive | flagged).sum()))
        return intervals.Interval(*(2 * part / (1 + part) for part in found)) if found else None


def _sums(weights: Floats | Flags, chances: Floats) -> Floats:
    """Add up the rows of each set; weights that no chance plays in are one row for all sets."""
    import numpy as np

    return np.asarray(np.broadcast_to(weights, chances.shape).sum(axis=1), dtype=np.float64)
