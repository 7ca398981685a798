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
    """What a judge found: value, bound, and whether the candidate does harm."""

    judge: str
    value: float | None
    bound: float
    harm: bool
    detail: str = ""


@dataclass(frozen=True)
class Judge(abc.ABC):
    """Compares the candidate's traffic with the stable version's."""

    at_most: float

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
        rate = candidate.errors / candidate.requests if candidate.requests else 0.0
        return Finding(self.name, rate, self.at_most, rate > self.at_most, f"{candidate.errors} errors")


@dataclass(frozen=True)
class P99(Judge):
    """The 99th percentile of latency, ms."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's slow tail with the bound."""
        import numpy as np

        value = float(np.quantile(candidate.latency_ms, 0.99)) if len(candidate.latency_ms) else 0.0
        return Finding(self.name, value, self.at_most, value > self.at_most, f"{len(candidate.latency_ms)} requests")


@dataclass(frozen=True)
class ScoreShift(Judge):
    """Wasserstein distance of the candidate's scores from the stable version's, in the stable's deviations.

    A shift counts only beyond what a random split of both versions' scores shows in 99 of 100 cases, so that
    small samples do not alarm.
    """

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Compare the distance with the larger of the bound and the random split's."""
        from platform_core.monitor.distance import split_null, wasserstein

        if not len(candidate.scores) or not len(stable.scores):
            return Finding(self.name, None, self.at_most, harm=False, detail="one side has no scores")
        value = wasserstein(candidate.scores, stable.scores)
        bound = max(self.at_most, split_null(candidate.scores, stable.scores))
        return Finding(self.name, value, bound, value > bound, f"{len(candidate.scores)} scores")
