"""What a rollout is judged on, step by step."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Traffic:
    """What one version answered since the step began: one entry a request row.

    ``scores`` and ``latency_ms`` are float64; failed requests have no score. ``requests`` counts both.
    """

    requests: int
    errors: int
    latency_ms: NDArray[np.float64]
    scores: NDArray[np.float64]


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
    """Compares the candidate's traffic with the stable version's.

    A rollout asks at every tick. ``alpha`` bounds the chance that a candidate which keeps the bound is ever found to do
    harm in one step of a rollout, over all looks together.
    """

    at_most: float
    alpha: float = 0.01

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
        from platform_core.specs.sequential import evidence

        rate = candidate.errors / candidate.requests if candidate.requests else 0.0
        proven = evidence(candidate.errors, candidate.requests, self.at_most) >= 1 / self.alpha
        return Finding(self.name, rate, self.at_most, proven, f"{candidate.errors} errors")


@dataclass(frozen=True)
class P99(Judge):
    """The 99th percentile of latency, ms: above the bound when more than one request in a hundred takes longer."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's slow tail with the bound."""
        import numpy as np

        from platform_core.specs.sequential import evidence

        rows = len(candidate.latency_ms)
        value = float(np.quantile(candidate.latency_ms, 0.99)) if rows else 0.0
        slow = int((candidate.latency_ms > self.at_most).sum())
        proven = evidence(slow, rows, 0.01) >= 1 / self.alpha
        return Finding(self.name, value, self.at_most, proven, f"{slow} of {rows} requests were slower")


@dataclass(frozen=True)
class ScoreShift(Judge):
    """Wasserstein distance of the candidate's scores from the stable version's, in the stable's deviations.

    It is looked at when the candidate's scores have grown by a quarter, first at 30. What chance adds to the distance
    of two samples is taken off, and the bootstrap says how far chance may move it.
    """

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare the lower end of the distance with the bound."""
        from platform_core.monitor.shift import shift
        from platform_core.specs.sequential import look, spent

        if not len(candidate.scores) or not len(stable.scores):
            return Finding(self.name, None, self.at_most, harm=False, detail="one side has no scores")
        number, rows = look(len(candidate.scores))
        if not number:
            return Finding(self.name, None, self.at_most, harm=False, detail=f"{len(candidate.scores)} scores")
        found = shift(candidate.scores[:rows], stable.scores, spent(number, self.alpha))
        detail = f"{rows} scores, at least {found.at_least:.3g}"
        return Finding(self.name, found.distance, self.at_most, found.at_least > self.at_most, detail)
