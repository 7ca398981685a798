"""What a rollout is judged on, step by step."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def _none() -> NDArray[np.float64]:
    import numpy as np

    return np.empty(0)


@dataclass(frozen=True)
class Traffic:
    """What one version answered since the step began, oldest first.

    ``requests`` counts requests, failed ones among them, and ``latency_ms`` has an entry for each; ``scores`` has one
    for each row that was answered. ``log`` holds the version's rows of the prediction log. ``labels`` (0 or 1) and
    ``labelled_scores`` are aligned: the rows answered since the rollout began whose label has come, in the order in
    which it came; only for judges that need labels. All arrays are float64.
    """

    requests: int
    errors: int
    latency_ms: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.float64] = field(default_factory=_none)
    labelled_scores: NDArray[np.float64] = field(default_factory=_none)
    log: pa.Table | None = None


@dataclass(frozen=True)
class Finding:
    """What a judge found: value, bound, and whether the candidate does harm, which is then proven.

    A value above its bound without ``harm`` is not proven either way: the rollout waits for more traffic.
    """

    judge: str
    value: float | None
    bound: float
    harm: bool
    detail: str = ""

    @property
    def in_doubt(self) -> bool:
        """Say whether the value is above the bound, but by what may be chance."""
        return not self.harm and self.value is not None and self.value > self.bound


@dataclass(frozen=True)
class Judge(abc.ABC):
    """Compares the candidate's traffic with the stable version's; subclass it in a team's package for one of your own.

    A rollout asks at every tick. ``alpha`` bounds the chance that a candidate which keeps the bound is ever found to do
    harm in one step of a rollout, over all looks together. A judge that ``needs_labels`` gets those that have come.
    """

    at_most: float
    alpha: float = 0.01
    needs_labels: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Name the judge in decisions."""
        return type(self).__name__

    @abc.abstractmethod
    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Say whether the candidate does harm; too little traffic is never harm."""


@dataclass(frozen=True)
class ErrorRate(Judge):
    """Share of requests that failed, 0..1."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's share of errors with the bound."""
        from loopline.platform_core.specs.sequential import evidence

        rate = candidate.errors / candidate.requests if candidate.requests else 0.0
        proven = evidence(candidate.errors, candidate.requests, self.at_most) >= 1 / self.alpha
        return Finding(self.name, rate, self.at_most, proven, f"{candidate.errors} errors")


@dataclass(frozen=True)
class P99(Judge):
    """The 99th percentile of latency, ms: above the bound when more than one request in a hundred takes longer."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's slow tail with the bound."""
        import numpy as np

        from loopline.platform_core.specs.sequential import evidence

        rows = len(candidate.latency_ms)
        value = float(np.quantile(candidate.latency_ms, 0.99)) if rows else 0.0
        slow = int((candidate.latency_ms > self.at_most).sum())
        proven = evidence(slow, rows, 0.01) >= 1 / self.alpha
        return Finding(self.name, value, self.at_most, proven, f"{slow} of {rows} requests were slower")


@dataclass(frozen=True)
class ScoreShift(Judge):
    """Wasserstein distance of the candidate's scores from the stable version's, in the stable's deviations.

    It is looked at when the candidate's scores have grown by a quarter, first at 30, beside what the stable version had
    answered by then (at least 50): what comes later changes no look. What chance adds to the distance of two samples
    is taken off; how far chance may move it is known in the limit only.
    """

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare the lower end of the distance with the bound."""
        from loopline.platform_core.specs.score_shift import shift
        from loopline.platform_core.specs.sequential import look, spent

        number, rows = look(len(candidate.scores))
        beside = _by_then(candidate, rows, stable)
        if not number or len(beside) < ENOUGH_BESIDE:
            said = f"{len(candidate.scores)} scores beside {len(stable.scores)}"
            return Finding(self.name, None, self.at_most, harm=False, detail=said)
        found = shift(candidate.scores[:rows], beside, spent(number, self.alpha))
        detail = f"{rows} scores beside {len(beside)}, at least {max(found.at_least, 0.0):.3g}"
        return Finding(self.name, found.distance, self.at_most, found.at_least > self.at_most, detail)


ENOUGH_BESIDE = 50
"""Scores of the stable version, before which its deviation may miss what is rare, and is no unit to measure in."""


def _by_then(candidate: Traffic, rows: int, stable: Traffic) -> NDArray[np.float64]:
    """Return the stable version's scores of before the candidate's score number ``rows``; all without a log."""
    if candidate.log is None or stable.log is None or not rows:
        return stable.scores
    import pyarrow.compute as pc

    at = candidate.log.filter(pc.is_valid(candidate.log["score"]))["logged_at"][rows - 1]
    times = stable.log.filter(pc.is_valid(stable.log["score"]))["logged_at"]
    return stable.scores[: pc.sum(pc.less_equal(times, at)).as_py() or 0]
