"""What a metric of a classifier is: its name, how it is computed, how sure it is, and which way is better."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.intervals import Interval

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

Better = Literal["higher", "lower", "neither"]


class Figure(NamedTuple):
    """A metric and what it is: ``low`` and ``high`` hold the truth in 95 of 100 cases."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Ranked:
    """Scores in rising order; of each row where those like it begin and where they end, and whether it is flagged."""

    scores: Floats
    first: NDArray[np.intp]
    after: NDArray[np.intp]
    flagged: Flags

    @classmethod
    def of(cls, scores: Floats, threshold: float) -> Ranked:
        """Rank sorted scores; a score that reaches the threshold is flagged."""
        import numpy as np

        if not len(scores) or scores[-1] != scores[-1]:  # NaN, which is like itself here
            first, after = scores.searchsorted(scores, side="left"), scores.searchsorted(scores, side="right")
        else:
            begins = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
            ends = np.append(begins[1:], len(scores))
            first, after = np.repeat(begins, ends - begins), np.repeat(ends, ends - begins)
        return cls(scores, first, after, scores >= threshold)


@dataclass(frozen=True)
class Metric(abc.ABC):
    """One metric, defined once for training, gates, live windows, estimates and pages.

    ``better`` is the way in which a version improves; ``needs_labels`` is False where answers alone tell it,
    ``needs_threshold`` False where scores are taken as they are. Of a ``followed`` metric live windows tell without
    being asked. ``top`` is the largest value that there is.
    """

    name: str
    better: Better = "higher"
    needs_labels: bool = True
    needs_threshold: bool = False
    followed: bool = True
    top: float = 1.0

    @property
    def title(self) -> str:
        """Return the name as people read it."""
        return self.name.replace("_", " ")

    @abc.abstractmethod
    def weighed(self, chances: Floats, ranked: Ranked) -> Floats:
        """Return the metric of each row of ``chances`` (sets, rows), NaN where it is not defined.

        A chance is the weight with which a row counts as positive; it counts as negative with the rest. Labels are
        chances of 0 and 1; chances in between give what the metric of labels will be on average.
        """

    @abc.abstractmethod
    def interval(self, labels: Floats, scores: Floats, threshold: float) -> Interval | None:
        """Return the metric of labelled rows with its 95 % interval; None where so few rows cannot tell."""

    def value(self, labels: Floats, scores: Floats, threshold: float) -> float | None:
        """Return the metric of labelled rows; None where it is not defined, such as recall without a positive."""
        return self.of(*in_order(labels, scores, threshold))

    def of(self, chances: Floats, ranked: Ranked) -> float | None:
        """Return the metric of one set of rows (1, rows); None where it is not defined."""
        if not len(ranked.scores):
            return None
        found = float(self.weighed(chances, ranked)[0])
        return None if found != found else found  # noqa: PLR0124 - NaN


def in_order(labels: Floats, scores: Floats, threshold: float) -> tuple[Floats, Ranked]:
    """Sort labelled rows by their scores once, for however many metrics."""
    order = scores.argsort(kind="stable")
    return (labels[order] > 0).astype(float)[None], Ranked.of(scores[order], threshold)


def ratio(some: Floats, whole: Floats) -> Floats:
    """Divide, NaN where there is nothing to divide by."""
    import numpy as np

    return np.asarray(np.divide(some, whole, out=np.full(np.shape(some), np.nan), where=whole > 0))
