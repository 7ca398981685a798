"""Re-ranking step of a graph: ranks the candidate items that an earlier retrieval step named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from loopline.platform_core.graphs.steps import Given, Predict, Served, Step

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats


@dataclass(frozen=True)
class Rank(Step):
    """Orders the candidates of an earlier step anew, and keeps ``count``: places, the best first, then scores.

    The earlier step predicts as ``Ranking(items, k=...)`` does: places of ``k`` items, then their scores.
    ``scorer`` looks at one row and one candidate at a time: the columns that it names, then the candidate's row of
    ``items`` (items, numbers), then its score until now. All candidates of all rows are asked at once.
    """

    scorer: Predict | None = None
    candidates: str = ""
    items: Any = None
    count: int = 10

    @property
    def of(self) -> tuple[str, ...]:
        """Name the step that it reorders."""
        return (self.candidates,)

    @property
    def columns_needed(self) -> tuple[str, ...]:
        """Name the columns of a row that the scorer sees."""
        return self.scorer.columns_needed if self.scorer else ()

    def learners(self) -> Sequence[Predict]:
        """Return the scorer."""
        return [self.scorer] if self.scorer else []

    def serving(self, served: Served) -> Self:
        """Let another score."""
        return replace(self, scorer=self.scorer.serving(served) if self.scorer else None)

    def run(self, given: Given) -> Floats:
        """Return (rows, 2 x count)."""
        import numpy as np

        assert self.scorer is not None
        places, before = np.split(given.said[self.candidates], 2, axis=1)
        scores = self.scorer.asked(pairs(self.scorer.matrix(given), places, before, np.asarray(self.items)))
        best_of = best(scores.reshape(places.shape), self.count)
        chosen = best_of[:, : self.count].astype(np.int64)
        return np.column_stack([np.take_along_axis(places, chosen, axis=1), best_of[:, self.count :]])


def pairs(rows: Floats, places: Floats, before: Floats, items: Floats) -> Floats:
    """Put each row beside each of its candidates: (rows x candidates, columns + numbers of an item + 1).

    What a ranking scorer is fitted to is put together by this as well.
    """
    import numpy as np

    each = np.repeat(rows, places.shape[1], axis=0)
    return np.column_stack([each, items[places.astype(np.int64).ravel()], before.ravel()])


def best(scores: Floats, count: int) -> Floats:
    """Return the places of the highest scores, then those scores (rows, 2 x count); of equal ones the first."""
    import numpy as np

    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.column_stack([order.astype(np.float64), np.take_along_axis(scores, order, axis=1)])
