"""DORA metrics (https://dora.dev/guides/dora-metrics/) of models: how fast and how safely they change.

Rollouts count where they started, and with what became of them by the instant in question; so no rate is above 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from loopline.scorecard.figure import ORGANISATION, Measure
from loopline.scorecard.series import QUARTER, Series, within

if TYPE_CHECKING:
    from loopline.scorecard.facts import Facts, RolloutFact

_WEEK = 7 * 86_400.0


class Delivery:
    """The figures of one scope, at any instant."""

    def __init__(self, facts: Facts, scope: str) -> None:
        rollouts = [r for r in facts.rollouts if within(scope, r.team, r.model)]
        real = [r for r in rollouts if not r.drill]
        cycles = [c for c in facts.cycles if scope in {ORGANISATION, c.team}]
        firsts = [at for team, at in facts.first.items() if scope in {ORGANISATION, team}]
        self.since = min(firsts, default=inf)
        self.started = Series.of(((r.started, r.met, r.back) for r in real), "met", "back")
        self.promoted = Series.of([(r.promoted,) for r in real if r.promoted < inf])
        self.failed = Series.of(((r.back, r.back - r.met) for r in real if r.met <= r.back < inf), "seconds")
        self.restored = Series.of(((r.restored_at, _seconds(r)) for r in real if r.restored is not None), "seconds")
        self.drills = Series.of(((_ended(r), float(r.back < inf)) for r in rollouts if r.drill), "back")
        self.lead = Series.of(((c.closed, c.seconds) for c in cycles), "seconds")
        self.drift = Series.of(((c.closed, c.seconds) for c in cycles if c.drift), "seconds")
        self.skews = Series.of([(s.at,) for s in facts.skews if within(scope, s.team, s.model)])

    def measured(self, until: float) -> dict[str, Measure]:
        """Compute every figure as it was at an instant."""
        return {name: compute(self, until) for name, compute in _FIGURES.items()}


def _seconds(rollout: RolloutFact) -> float:
    return rollout.restored or 0.0


def _ended(rollout: RolloutFact) -> float:
    return min(rollout.promoted, rollout.back)


def _quantile(  # noqa: PLR0913, PLR0917 - of which series, where, in which unit
    series: str, share: float, unit_seconds: float, none: str, own: Delivery, until: float
) -> Measure:
    values = np.sort(getattr(own, series).window(until)["seconds"])
    if not len(values):
        return Measure(None, 0, none)
    place = share * (len(values) - 1)  # as numpy.quantile, which takes thirty times as long for a few values
    low, above = values[int(place)], values[min(int(place) + 1, len(values) - 1)]
    return Measure(float(low + (above - low) * (place % 1)) / unit_seconds, len(values))


def _frequency(own: Delivery, until: float) -> Measure:
    if own.since > until:
        return Measure(None, 0, "nothing is in the ledger yet")
    count = own.promoted.count(until)
    weeks = min(max((until - own.since) / _WEEK, 1.0), QUARTER / _WEEK)
    return Measure(count / weeks, count)


def _taken_back(own: Delivery, until: float, *, met: bool) -> Measure:
    window = own.started.window(until)
    started = len(window["back"])
    if not started:
        return Measure(None, 0, "no rollout was started")
    back = window["back"] <= until
    return Measure(float((back & (window["met"] <= window["back"]) if met else back).mean()), started)


def _drills(own: Delivery, until: float) -> Measure:
    back = own.drills.window(until)["back"]
    return Measure(float(back.mean()), len(back)) if len(back) else Measure(None, 0, "no drill was held")


def _incidents(own: Delivery, until: float) -> Measure:
    count = own.skews.count(until)
    return Measure(float(count), count)


_NO_CYCLE, _NO_FAILURE = "no cycle was promoted", "no version that callers met was taken back"
_FIGURES: dict[str, Callable[[Delivery, float], Measure]] = {
    "lead_time_median": partial(_quantile, "lead", 0.5, 3600.0, _NO_CYCLE),
    "lead_time_p90": partial(_quantile, "lead", 0.9, 3600.0, _NO_CYCLE),
    "deployments_a_week": _frequency,
    "change_failure_rate": partial(_taken_back, met=True),
    "rollback_rate": partial(_taken_back, met=False),
    "recovery_time_median": partial(_quantile, "failed", 0.5, 60.0, _NO_FAILURE),
    "restore_time_median": partial(_quantile, "restored", 0.5, 1.0, f"{_NO_FAILURE}, or no sensor saw the endpoint"),
    "drift_recovery_median": partial(_quantile, "drift", 0.5, 3600.0, "no cycle that drift opened was promoted"),
    "drills_caught": _drills,
    "skew_incidents": _incidents,
}
