"""Rollout judges that compare two versions on the same requests: score shift and latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.specs.judges.judges import Both, Finding, Judge, Traffic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENOUGH_BESIDE = 50
"""Scores of the stable version, before which its deviation may miss what is rare, and is no unit to measure in."""
ENOUGH_PAIRS = 200
"""The same of pairs, whose spread is so small that a unit which misses what is rare is all that is left of chance.

They come sooner all the same: every request makes one, whichever version answers it.
"""
TOO_SLOW = 0.01
"""Share of the requests that may take longer."""


@dataclass(frozen=True)
class ScoreShift(Judge):
    """Wasserstein distance of the candidate's scores from the stable version's, in the stable's deviations.

    Both versions' scores of the same requests are compared, from 200 rows on. Before, and where no request can be
    replayed, those of requests that each answered meanwhile are: first 30 of the candidate, beside what the stable
    version had answered by then, at least 50. It is looked at when the sample has grown by a quarter; what comes later
    changes no look. What chance adds to the distance is taken off; how far chance may move it is known in the limit
    only. Where requests can be replayed each of the two ways has half of ``alpha``.
    """

    needs_pairs: ClassVar[bool] = True

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare the lower end of the distance with the bound."""
        if candidate.pairs is None:
            return self._apart(candidate, stable, self.alpha)
        if len(candidate.pairs.scores.candidate) >= ENOUGH_PAIRS:
            return self._paired(candidate.pairs.scores, self.alpha / 2)
        return self._apart(candidate, stable, self.alpha / 2)

    def _paired(self, scores: Both, alpha: float) -> Finding:
        from loopline.platform_core.specs.judges.paired_shift import paired_shift
        from loopline.platform_core.specs.judges.sequential import look, spent

        number, rows = look(len(scores.candidate), ENOUGH_PAIRS)
        found = paired_shift(scores.candidate[:rows], scores.stable[:rows], spent(number, alpha))
        detail = f"{rows} rows scored by both, at least {max(found.at_least, 0.0):.3g}"
        return Finding(self.name, found.distance, self.at_most, found.at_least > self.at_most, detail)

    def _apart(self, candidate: Traffic, stable: Traffic, alpha: float) -> Finding:
        from loopline.platform_core.specs.judges.score_shift import shift
        from loopline.platform_core.specs.judges.sequential import look, spent

        number, rows = look(len(candidate.scores))
        beside = _by_then(candidate, rows, stable)
        if not number or len(beside) < ENOUGH_BESIDE:
            said = f"{len(candidate.scores)} scores beside {len(stable.scores)}"
            if candidate.pairs is not None:
                said += f", {len(candidate.pairs.scores.candidate)} of {ENOUGH_PAIRS} rows scored by both"
            return Finding(self.name, None, self.at_most, harm=False, detail=said)
        found = shift(candidate.scores[:rows], beside, spent(number, alpha))
        detail = f"{rows} scores beside {len(beside)}, at least {max(found.at_least, 0.0):.3g}"
        return Finding(self.name, found.distance, self.at_most, found.at_least > self.at_most, detail)


@dataclass(frozen=True)
class Slower(Judge):
    """By how many ms the candidate predicts slower than the stable version, but for one request in a hundred.

    Predictions of the same request are compared, timed next to each other in one process: what a server, a network and
    its load add is the same for both, and ``P99`` sees it. Harm is proven when more than one request in a hundred takes
    longer by ``at_most`` ms, those set off that take as much less: a pause of the machine may meet either.
    """

    needs_pairs: ClassVar[bool] = True
    only_pairs: ClassVar[bool] = True

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the share of slower requests with one in a hundred."""
        import numpy as np

        from loopline.platform_core.specs.judges.sequential import evidence_of_mean

        timed = candidate.pairs.latency_ms if candidate.pairs else None
        if timed is None or not len(timed.candidate):
            return Finding(self.name, None, self.at_most, harm=False, detail="no request was timed with both")
        more = timed.candidate - timed.stable
        slower, faster = more > self.at_most, more < -self.at_most
        strength = evidence_of_mean((1.0 + slower - faster) / 2, (1 + TOO_SLOW) / 2)
        detail = f"{slower.sum()} of {len(more)} requests were slower, {faster.sum()} faster"
        return Finding(self.name, float(np.quantile(more, 0.99)), self.at_most, strength >= 1 / self.alpha, detail)


def _by_then(candidate: Traffic, rows: int, stable: Traffic) -> NDArray[np.float64]:
    """Return the stable version's scores of before the candidate's score number ``rows``; all without a log."""
    if candidate.log is None or stable.log is None or not rows:
        return stable.scores
    import pyarrow.compute as pc

    at = candidate.log.filter(pc.is_valid(candidate.log["score"]))["logged_at"][rows - 1]
    times = stable.log.filter(pc.is_valid(stable.log["score"]))["logged_at"]
    return stable.scores[: pc.sum(pc.less_equal(times, at)).as_py() or 0]
