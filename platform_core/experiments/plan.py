"""Experiment planning: sample size and duration, from past answers and outcomes.

The number of entities comes from a formula, and is tried on the entities of the past: drawn again and again, with and
without the effect, looked at as often as an experiment would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.experiments import outcomes, sequence
from loopline.platform_core.experiments.arms import met
from loopline.platform_core.experiments.settings import Settled
from loopline.platform_core.monitor.quality.outcomes import DAY_US

if TYPE_CHECKING:
    from loopline.platform_core.experiments.arms import Arms, Floats, Places
    from loopline.platform_core.experiments.outcomes import Source
    from loopline.platform_core.specs import Experiment

DRAWN, MOST_TRIALS, FEWEST_TRIALS = 2_000_000, 300, 40
"""Values that a plan draws at most to try itself, and how many experiments those may be."""
LOOKS = 20


@dataclass(frozen=True)
class Tried:
    """Of experiments on the past's entities: the share that found the effect, and that found one where none was.

    ``entities`` is how many those that found the effect needed in the middle.
    """

    trials: int
    found: float
    false: float
    entities: int | None


@dataclass(frozen=True)
class Plan:
    """What is known of the outcome, how many entities are needed, and in how many days they come (None: never)."""

    entities: int
    mean: float
    deviation: float
    size: sequence.Size
    tried: Tried
    days: float | None
    a_day: float

    @property
    def too_long(self) -> bool:
        """Say whether no entity comes any more."""
        return self.days is None


def plan(source: Source, experiment: Experiment, history_days: float, seed: int = 7) -> Plan:
    """Plan an experiment by what was answered in the last days.

    Raises:
        NotFound: too few entities were answered, or nothing is known of them yet. Refused: all are alike.
        InvalidSpec: as ``Source.happened``.
    """
    settled, now = Settled(experiment, 1), source.platform.clock.now()
    arms = met(source.platform, source.team, source.model, now - timedelta(days=history_days), None)
    values = _values(source, arms, settled, history_days)
    deviation = float(values.std(ddof=1))
    if not deviation:
        raise Refused(f"all entities have the same {experiment.outcome_name}", "choose an outcome that differs")
    share, one = settled.share, experiment
    size = sequence.size(deviation, share, one.effect, one.alpha, one.power)
    tried = _tried(values, size.sequential, settled, np.random.default_rng(seed))
    days = _days(arms.start_us, size.sequential, int(history_days * DAY_US), int(now.timestamp() * 1e6))
    whole = None if days is None else days + one.days + one.wait_days
    a_day = len(arms) / history_days
    return Plan(len(values), float(values.mean()), deviation, size, tried, whole, a_day)


def _values(source: Source, arms: Arms, settled: Settled, history_days: float) -> Floats:
    one, now_us = settled.experiment, int(source.platform.clock.now().timestamp() * 1e6)
    _demand(len(arms), f"{len(arms):,} entities were answered in the last {history_days:g} days")
    found = outcomes.of(arms, source.happened(arms, one.outcome), settled.rule, now_us)
    chosen = found.over & np.isfinite(found.values)
    known = int(chosen.sum())
    _demand(known, f"{one.outcome_name} is known of {known:,} of the {len(arms):,} entities of {history_days:g} days")
    return outcomes.adjusted(found, chosen, np.zeros(len(arms), bool))


def _demand(entities: int, said: str) -> None:
    if entities < sequence.LEAST:
        fix = "look further back with --history-days, or wait until more is known"
        raise NotFound(f"{said}, and {sequence.LEAST} are needed", fix)


def _tried(values: Floats, size: int, settled: Settled, random: np.random.Generator) -> Tried:
    trials = int(np.clip(DRAWN // size, FEWEST_TRIALS, MOST_TRIALS))
    found = [_first(values, size, settled, settled.experiment.effect, random) for _ in range(trials)]
    false = [_first(values, size, settled, 0.0, random) for _ in range(trials)]
    there = [entities for entities in found if entities is not None]
    share = sum(entities is not None for entities in false) / trials
    return Tried(trials, len(there) / trials, share, int(np.median(there)) if there else None)


def _first(values: Floats, size: int, settled: Settled, effect: float, random: np.random.Generator) -> int | None:
    """Return at how many entities an experiment of so many ever finds a difference, None where it does not."""
    drawn, mine = random.choice(values, size), random.random(size) < settled.share
    drawn[mine] += effect
    first = math.ceil(sequence.LEAST / min(settled.share, 1 - settled.share))
    for entities in np.unique(np.geomspace(min(first, size), size, LOOKS).astype(int)):
        side = mine[:entities]
        some = drawn[:entities]
        interval = sequence.difference(some[side], some[~side], settled.share, settled.experiment.alpha, size)
        if interval is not None and not interval.low <= 0 <= interval.high:
            return int(entities)
    return None


def _days(start_us: Places, wanted: int, span_us: int, now_us: int) -> float | None:
    """Return in how many days so many entities are met for the first time, as they came; then as they came lately."""
    came = np.sort(start_us) - (now_us - span_us)
    if wanted <= len(came):
        return float(came[wanted - 1] / DAY_US)
    lately = int((came >= span_us // 2).sum())
    return None if not lately else float(span_us + (wanted - len(came)) * (span_us / 2) / lately) / DAY_US
