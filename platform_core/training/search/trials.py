"""Parallel trials of a search, each a task on the environment's compute.

Whoever asks for them keeps the journal and writes each answer down as it comes. If he loses that with his disk, the
tasks' keys still find what has been computed: a key holds all that a trial's outcome depends on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.platform_core import worker
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.training.search import budget, warm
from loopline.platform_core.training.search.journal import Trial
from loopline.platform_core.training.search.search import FREE_STEPS, FREE_TRIALS, Bounds, Fitting, SearchResult, find

if TYPE_CHECKING:
    import optuna

    from loopline.platform_core.contracts.compute import Compute
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.model import Model, Requirements

TRY = "loopline.platform_core.training.task:attempt"
_OWN = ("environment", "team", "model", "training_set", "cycle", "key", "drill")
"""What a trial needs to know of a training."""


@dataclass(frozen=True)
class Tasks:
    """Makes each trial a task; ``args`` are those of the training."""

    compute: Compute
    args: Mapping[str, Any]
    requirements: Requirements

    def attempt(self, trial: optuna.Trial, earlier: Sequence[Trial]) -> Trial:
        """Have one trial done, and tell it to the study as if it had been done here."""
        asked = {"number": trial.number, "params": dict(trial.params), "bars": bars(earlier)}
        args = {name: self.args[name] for name in _OWN if name in self.args} | {"asked": asked}
        known = json.dumps([self.args["key"], asked], sort_keys=True)
        key = f"{self.args['key']}/trial-{trial.number}-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
        done = msgspec.convert(self.compute.run(TRY, args, self.requirements, key), Trial)
        for step, score in done.steps:
            trial.report(score, step)
        return Trial(trial.number, dict(trial.params), done.value, done.steps, done.seconds)


def searched(platform: Platform, model: Model, args: Mapping[str, Any]) -> dict[str, Any]:
    """Search by tasks, ``parallel`` at a time; returns what a training takes as ``found``.

    Killed and called again with the same arguments, it goes on after the trials that were finished.
    """
    journal = platform.home / "search" / f"{worker.file_name(args['key'])}.journal"
    bounds = Bounds(
        model.search.parallel,
        budget.seconds(platform, model),
        warm.begins(platform, ModelRef(args["team"], model.name), model.search),
    )
    found = find(model.search, Tasks(platform.compute, args, model.compute), journal, bounds)
    short = tuple(Trial(trial.number, trial.params, trial.value, [], trial.seconds) for trial in found.trials)
    done: dict[str, Any] = msgspec.to_builtins(SearchResult(found.params, found.score, short))
    return done


def bars(earlier: Sequence[Trial]) -> list[tuple[int, float]]:
    """Return by step the median of complete trials, below which a trial ends early; none while there are few."""
    import numpy as np

    if len(earlier) < FREE_TRIALS:
        return []
    at: dict[int, list[float]] = {}
    for trial in earlier:
        for step, score in trial.steps:
            at.setdefault(step, []).append(score)
    medians = {step: float(np.nanpercentile(scores, 50)) for step, scores in at.items() if step >= FREE_STEPS}
    return sorted((step, median) for step, median in medians.items() if not math.isnan(median))


def tried(fitting: Fitting, asked: Mapping[str, Any]) -> Trial:
    """Fit once, as far as it is worth it: a trial whose best step so far is below the bar ends there."""
    bar = {int(step): float(median) for step, median in asked["bars"]}

    def ends(steps: Sequence[tuple[int, float]]) -> bool:
        step = steps[-1][0]
        known = [value for _, value in steps if not math.isnan(value)]
        return step in bar and (not known or max(known) < bar[step])

    return fitting.tried(int(asked["number"]), asked["params"], ends)
