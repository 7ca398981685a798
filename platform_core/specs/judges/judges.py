"""Rollout judges (canary analysis): compare the candidate's traffic with the stable version's, step by step."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from loopline.platform_core.targets import usual

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.metrics import Metric
    from loopline.platform_core.targets import Target


def _none() -> NDArray[np.float64]:
    import numpy as np

    return np.empty(0)


class Both(NamedTuple):
    """What two versions made of the same requests: aligned float64 arrays."""

    candidate: NDArray[np.float64]
    stable: NDArray[np.float64]


def _neither() -> Both:
    return Both(_none(), _none())


@dataclass(frozen=True)
class Pairs:
    """What both versions made of the same requests: one answered a caller, and that was replayed through the other.

    Each is in the order in which it came to be known. ``scores`` has an entry for each row; ``latency_ms`` one for
    each request whose predictions were timed, both in one process, next to each other: without what a server does
    besides. ``labelled_scores`` are raw and aligned with ``labels``, as in
    ``Traffic``.
    """

    scores: Both = field(default_factory=_neither)
    latency_ms: Both = field(default_factory=_neither)
    labels: NDArray[np.float64] = field(default_factory=_none)
    labelled_scores: Both = field(default_factory=_neither)


class Estimate(NamedTuple):
    """A metric of a version as it seems to be before labels come, and what is realised in 95 of 100 cases."""

    metric: str
    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Traffic:
    """What one version answered since the step began, oldest first.

    ``requests`` counts requests, failed ones among them, and ``latency_ms`` has an entry for each; ``scores`` has one
    for each row that was answered. ``log`` holds the version's rows of the prediction log. ``labels`` (as
    ``target`` encodes them) and ``labelled_scores`` are aligned: the rows answered since the rollout began whose label
    has come, in the order in which it came, and what the model returned for them: (rows,), or (rows, numbers) where
    that is more than one; only for judges that need labels. All arrays are float64.

    The candidate's ``pairs`` are what both versions made of the same requests; None where the endpoint replays none.
    Its ``estimates`` are of the newest window in which it answered; only for judges that need them.
    """

    requests: int
    errors: int
    latency_ms: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.float64] = field(default_factory=_none)
    labelled_scores: NDArray[np.float64] = field(default_factory=_none)
    log: pa.Table | None = None
    pairs: Pairs | None = None
    estimates: tuple[Estimate, ...] = ()
    target: Target = field(default_factory=usual)


def preferred(target: Target, fits: Callable[[Metric], bool]) -> str:
    """Name what a judge goes by that names no metric: what its kind is searched by, or the first that fits; "" none."""
    names = [target.searched, *target.metrics]
    return next((name for name in names if name in target.metrics and fits(target.metrics[name])), "")


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
    def is_silent(self) -> bool:
        """Say whether there was too little to say anything."""
        return self.value is None and not self.harm

    @property
    def in_doubt(self) -> bool:
        """Say whether the value is above the bound, but by what may be chance."""
        return not self.harm and self.value is not None and self.value > self.bound


@dataclass(frozen=True)
class Judge(abc.ABC):
    """Compares the candidate's traffic with the stable version's; subclass it in a team's package for one of your own.

    A rollout asks at every tick. ``alpha`` bounds the chance that a candidate which keeps the bound is ever found to do
    harm in one step of a rollout, over all looks together. A judge that ``needs_labels`` gets those that have come, and
    one that ``needs_estimates`` those of the quality monitor. For one that ``needs_pairs`` a rollout waits while it has
    nothing to say, and requests are still to be replayed; one that speaks of ``only_pairs`` is refused where none are.
    """

    at_most: float
    alpha: float = 0.01
    needs_labels: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = False
    only_pairs: ClassVar[bool] = False
    needs_estimates: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Name the judge in decisions."""
        return type(self).__name__

    def problems(self, target: Target) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - most judge any kind
        """Yield why it would never speak of models of a target: the problem, the fix."""
        yield from ()

    def silent(self, detail: str) -> Finding:
        """Return that there is nothing to say yet."""
        return Finding(self.name, None, self.at_most, harm=False, detail=detail)

    @abc.abstractmethod
    def find(self, candidate: Traffic, stable: Traffic) -> Finding:
        """Say whether the candidate does harm; too little traffic is never harm."""


@dataclass(frozen=True)
class ErrorRate(Judge):
    """Share of requests that failed, 0..1."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's share of errors with the bound."""
        from loopline.platform_core.specs.judges.sequential import evidence

        rate = candidate.errors / candidate.requests if candidate.requests else 0.0
        proven = evidence(candidate.errors, candidate.requests, self.at_most) >= 1 / self.alpha
        return Finding(self.name, rate, self.at_most, proven, f"{candidate.errors} errors")


@dataclass(frozen=True)
class P99(Judge):
    """The 99th percentile of latency, ms: above the bound when more than one request in a hundred takes longer."""

    def find(self, candidate: Traffic, stable: Traffic) -> Finding:  # noqa: ARG002 - one signature for all
        """Compare the candidate's slow tail with the bound."""
        import numpy as np

        from loopline.platform_core.specs.judges.sequential import evidence

        rows = len(candidate.latency_ms)
        value = float(np.quantile(candidate.latency_ms, 0.99)) if rows else 0.0
        slow = int((candidate.latency_ms > self.at_most).sum())
        proven = evidence(slow, rows, 0.01) >= 1 / self.alpha
        return Finding(self.name, value, self.at_most, proven, f"{slow} of {rows} requests were slower")
