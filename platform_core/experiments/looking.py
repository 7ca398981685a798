"""Interim analysis of an experiment: effect, guardrails, split check and verdict; valid at every look."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.experiments import outcomes, sequence
from loopline.platform_core.experiments.arms import met
from loopline.platform_core.experiments.outcomes import Rule, Source
from loopline.platform_core.specs.experiment import ERRORS, LATENCY

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.experiments.arms import Arms
    from loopline.platform_core.experiments.outcomes import Entities
    from loopline.platform_core.experiments.sequence import Interval
    from loopline.platform_core.experiments.settings import Settled
    from loopline.platform_core.loop.rollouts.experiments import Does
    from loopline.platform_core.specs import Guardrail

BETTER, WORSE, ALIKE, OPEN = "candidate better", "stable better", "no difference", "undecided"
SPLIT, GUARDRAIL = "split is wrong", "guardrail"


@dataclass(frozen=True)
class Side:
    """Entities of one side: that met it, whose time is over, and of which the outcome is known; and their mean."""

    met: int
    over: int
    known: int
    mean: float | None


@dataclass(frozen=True)
class RailSeen:
    """A guardrail: by how much the candidate is worse, with its interval (None: too few), and what it may be."""

    name: str
    worse: Interval | None
    at_most: float

    @property
    def is_broken(self) -> bool:
        """Say whether it is proven."""
        return self.worse is not None and self.worse.low > self.at_most


@dataclass(frozen=True)
class Seen:
    """What a look saw: both sides, the difference (candidate less stable), guardrails, and the split's evidence."""

    at: datetime
    candidate: Side
    stable: Side
    difference: Interval | None
    rails: tuple[RailSeen, ...]
    split: float
    moved: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures for the ledger."""
        told = asdict(self)
        del told["at"]
        return told


@dataclass(frozen=True)
class Verdict:
    """What is found, why, and what becomes of the rollout."""

    verdict: str
    reason: str
    does: Does


def look(source: Source, settled: Settled, since: datetime, versions: tuple[str, str]) -> Seen:
    """Look at an experiment between two versions (candidate, stable) that answer side by side since an instant.

    Raises:
        InvalidSpec, NotFound: as ``Source.happened``.
    """
    now = source.platform.clock.now()
    arms = met(source.platform, source.team, source.model, since, versions)
    found = _of(source, arms, settled.rule, now)
    one, sides = settled.experiment, arms.met
    rails = tuple(_rail(source, arms, settled, rail, now) for rail in one.guardrails)
    return Seen(
        at=now,
        candidate=_side(found, arms.is_candidate),
        stable=_side(found, ~arms.is_candidate),
        difference=_difference(found, arms, settled, one.alpha),
        rails=rails,
        split=sequence.evidence_of_split(*sides, settled.share),
        moved=arms.moved,
    )


def nothing(at: datetime) -> Seen:
    """Return a look that saw nothing."""
    nobody = Side(0, 0, 0, None)
    return Seen(at, nobody, nobody, None, (), 1.0, 0)


def judge(settled: Settled, seen: Seen, since: datetime) -> Verdict | None:
    """Say what follows from a look; None while nothing does.

    A split that is wrong, and a guardrail, come before whoever seems to win.
    """
    stopped = _stopped(seen)
    if stopped:
        return Verdict(*stopped, "roll_back")
    found = _found(settled, seen)
    if found is None and seen.at < since + timedelta(days=settled.experiment.most_days):
        return None
    verdict, reason = found or (OPEN, f"after {settled.experiment.most_days:g} days: {said(settled, seen)}")
    does: Does = "promote" if verdict == BETTER else "roll_back"
    return Verdict(verdict, reason, "hold" if settled.hold else does)


def said(settled: Settled, seen: Seen) -> str:
    """Say how an experiment stands, in one line."""
    known = seen.candidate.known + seen.stable.known
    many = f"{known:,} of {settled.planned:,} entities planned"
    if seen.difference is None:
        return f"too few to tell, {many}"
    low, value, high = (f"{number:+.4g}" for number in _ordered(seen.difference))
    return f"{settled.experiment.outcome_name} {value} [{low}, {high}], {many}"


def _ordered(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.value, interval.high


def _stopped(seen: Seen) -> tuple[str, str] | None:
    if seen.split >= 1 / sequence.ALIKE:
        mine, other = seen.candidate.met, seen.stable.met
        return SPLIT, f"{mine:,} entities met the candidate and {other:,} the stable version: who they are may differ"
    for rail in seen.rails:
        if rail.worse is not None and rail.is_broken:
            low, value, high = (f"{number:.4g}" for number in _ordered(rail.worse))
            return f"{GUARDRAIL} {rail.name}", f"worse by {value} [{low}, {high}], allowed is {rail.at_most:g}"
    return None


def _found(settled: Settled, seen: Seen) -> tuple[str, str] | None:
    one, interval = settled.experiment, seen.difference
    if interval is None:
        return None
    if -one.effect < interval.low and interval.high < one.effect:
        return ALIKE, f"they differ by less than {one.effect:g}: {said(settled, seen)}"
    if interval.low <= 0 <= interval.high:
        return None
    is_better = (interval.low > 0) == (_sign(one.outcome, one.better) > 0)
    return BETTER if is_better else WORSE, said(settled, seen)


def _rail(source: Source, arms: Arms, settled: Settled, rail: Guardrail, now: datetime) -> RailSeen:
    one = settled.experiment
    ready = rail.outcome in {ERRORS, LATENCY}
    rule = Rule(rail.outcome, one.days, 0 if ready else one.wait_days)
    found = _of(source, arms, rule, now)
    interval = _difference(found, arms, settled, 2 * one.alpha / len(one.guardrails))  # of one way to be wrong, half
    if interval is not None and _sign(rail.outcome, rail.better) > 0:  # what is better higher is worse when it falls
        interval = sequence.Interval(-interval.value, -interval.high, -interval.low)
    return RailSeen(rail.name, interval, rail.at_most)


def _sign(outcome: object, better: str) -> int:
    """Return 1 where more is better; metrics are what rows lose, and errors and latency are better low."""
    return -1 if isinstance(outcome, str) or better == "lower" else 1


def _of(source: Source, arms: Arms, rule: Rule, now: datetime) -> Entities:
    return outcomes.of(arms, source.happened(arms, rule.outcome), rule, int(now.timestamp() * 1e6))


def _difference(found: Entities, arms: Arms, settled: Settled, alpha: float) -> Interval | None:
    chosen = found.over & np.isfinite(found.values)
    values, side = outcomes.adjusted(found, chosen, arms.is_candidate), arms.is_candidate[chosen]
    return sequence.difference(values[side], values[~side], settled.share, min(alpha, 0.5), settled.planned)


def _side(found: Entities, mine: np.ndarray[Any, np.dtype[np.bool_]]) -> Side:
    known = mine & found.over & np.isfinite(found.values)
    mean = float(found.values[known].mean()) if known.any() else None
    return Side(int(mine.sum()), int((mine & found.over).sum()), int(known.sum()), mean)
