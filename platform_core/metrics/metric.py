"""Metric interface: name, computation, confidence interval, and which direction is better."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.intervals import Interval

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

FEWEST_TOLD, MOST_TOLD = 0.005, 1_000
"""Between what figures are told with three decimals."""
Better = Literal["higher", "lower", "neither"]


class Figure(NamedTuple):
    """A metric and what it is: ``low`` and ``high`` hold the truth in 95 of 100 cases."""

    metric: str
    value: float
    low: float
    high: float

    @property
    def is_finite(self) -> bool:
        """Say whether it can be written down: squares of what is far too large have no end."""
        return isfinite(self.value) and isfinite(self.low) and isfinite(self.high)


class Gap(NamedTuple):
    """A group's metric with its 95 % interval, of how many rows, and by how much it exceeds that of all rows."""

    own: Interval
    rows: int
    beyond: Interval


class Losses(NamedTuple):
    """Losses in 0..1 whose mean, times ``unit``, is what a metric lacks of its best."""

    values: Floats
    unit: float


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model predicted, beside what became of it: that of which metrics are computed.

    ``labels`` are float64 (rows,), or (rows, numbers), as the model's target encodes them, NaN for none; ``raw`` is
    what the model returned, float64 (rows,) or (rows, outputs); ``decided`` is what the target makes of it (rows,):
    whether a row is flagged, which class it is, or the number itself.
    """

    labels: Floats
    raw: Floats
    decided: NDArray[Any]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.raw)

    def where(self, chosen: Flags) -> Predictions:
        """Return the marked rows."""
        return Predictions(self.labels[chosen], self.raw[chosen], self.decided[chosen])

    @cached_property
    def ranked(self) -> tuple[Floats, Ranked]:
        """Sort rows by one number each, once for however many metrics: chances (1, rows), and the scores in order."""
        order = self.raw.argsort(kind="stable")
        return (self.labels[order] > 0).astype(float)[None], Ranked.of(self.raw[order], self.decided[order])


@dataclass(frozen=True, eq=False)
class Ranked:
    """Scores in rising order; of each row where those like it begin and where they end, and whether it is flagged."""

    scores: Floats
    first: NDArray[np.intp]
    after: NDArray[np.intp]
    flagged: Flags

    @classmethod
    def of(cls, scores: Floats, flagged: Flags) -> Ranked:
        """Rank sorted scores."""
        import numpy as np

        if not len(scores) or scores[-1] != scores[-1]:  # NaN, which is like itself here
            first, after = scores.searchsorted(scores, side="left"), scores.searchsorted(scores, side="right")
        else:
            begins = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
            ends = np.append(begins[1:], len(scores))
            first, after = np.repeat(begins, ends - begins), np.repeat(ends, ends - begins)
        return cls(scores, first, after, flagged)


@dataclass(frozen=True)
class Metric(abc.ABC):
    """One metric, defined once for training, search, gates, judges, live windows, estimates and pages.

    ``better`` is the way in which a version improves; ``needs_labels`` is False where answers alone tell it,
    ``needs_decision`` True where it rests on what the target decides, so that no search goes by it. Of a ``followed``
    metric live windows tell without being asked. ``top`` is the largest value that there is; ``of_groups`` says whether
    it tells if groups are treated alike. ``unit`` is what it is told in: None for a number without one, such as a
    share; "" for that of the labels where that has no name.
    """

    name: str
    better: Better = "higher"
    needs_labels: bool = True
    needs_decision: bool = False
    followed: bool = True
    top: float = 1.0
    of_groups: bool = False
    unit: str | None = None

    @property
    def title(self) -> str:
        """Return the name as people read it, with its unit."""
        return self.name.replace("_", " ") + (f" ({self.unit})" if self.unit else "")

    @property
    def is_searched(self) -> bool:
        """Say whether a search may go by it."""
        return self.better != "neither" and not self.needs_decision

    @property
    def is_compared(self) -> bool:
        """Say whether versions can be compared by what each row loses."""
        return type(self).losses is not Metric.losses

    @property
    def not_compared(self) -> str:
        """Say what is missing for versions to be compared by what each row loses, "" for nothing."""
        return ""

    @abc.abstractmethod
    def value(self, rows: Predictions) -> float | None:
        """Return the metric of labelled rows; None where it is not defined, such as recall without a positive."""

    @abc.abstractmethod
    def interval(self, rows: Predictions) -> Interval | None:
        """Return the metric of labelled rows with its 95 % interval; None where so few rows cannot tell."""

    def gap(self, rows: Predictions, own: Flags, confidence: float) -> Gap | None:  # noqa: ARG002
        """Hold the marked rows, a group, against all rows; the gap's interval is of a confidence, the group's of 95 %.

        None where the metric looks at none of the group or at nobody else, and where it is not ``of_groups``.
        """
        return None

    def looked_at(self, rows: Predictions) -> int:
        """Count the rows that the metric looks at."""
        return len(rows)

    def losses(self, rows: Predictions) -> Losses | None:  # noqa: ARG002
        """Return by how much each row, or group of rows, falls short, for tests that look after every row.

        The losses of rows do not depend on each other, nor on rows that come later; None where there are none such.
        """
        return None


@dataclass(frozen=True)
class OfChances(Metric):
    """A metric of rows that are positive or not, scored by one number; it is defined for chances of being positive."""

    @abc.abstractmethod
    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the metric of each row of ``chances`` (sets, rows), NaN where it is not defined.

        A chance is the weight with which a row counts as positive; it counts as negative with the rest. Labels are
        chances of 0 and 1; chances in between give what the metric of labels will be on average.
        """

    def value(self, rows: Predictions) -> float | None:
        """Weigh labels, which are chances of 0 and 1."""
        if not len(rows):
            return None
        found = float(self.weighed(*rows.ranked)[0])
        return None if found != found else found  # noqa: PLR0124 - NaN


def said(*values: float, sign: str = "") -> list[str]:
    """Write figures that stand together: with three decimals, or with four digits where those are too many or few."""
    largest = max(map(abs, values), default=0.0)
    form = f"{sign}.3f" if not largest or FEWEST_TOLD <= largest < MOST_TOLD else f"{sign}.4g"
    return [format(value, form) for value in values]


def ratio(some: Floats, whole: Floats) -> Floats:
    """Divide, NaN where there is nothing to divide by."""
    import numpy as np

    return np.asarray(np.divide(some, whole, out=np.full(np.shape(some), np.nan), where=whole > 0))
