"""Looks for the best parameters; goes on where it was after a crash, and gives the same answer either way.

Trials run in batches of ``workers``. What a batch tries depends on the seed and on the batches before it alone: the
sampler is seeded afresh for each trial, and the pruner looks at complete trials only. So a search that was killed
asks the same questions when it is repeated, and takes the answers that it finds in its journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.specs.examples import Examples, Fit, Params, Pruned
from loopline.platform_core.specs.search import Choice, Dimension, Search
from loopline.platform_core.training.journal import Journal, Trial

if TYPE_CHECKING:
    import optuna

_FREE_TRIALS = 4
"""Trials that are never pruned: the others are held against their median."""
_FREE_STEPS = 1
"""Steps of a trial that are never judged."""

Score = Callable[[Any, Examples], float]
"""``score(estimator, valid)``: what the search maximises."""


@dataclass(frozen=True)
class SearchResult:
    """The best parameters, their score on the validation rows, and every trial in order of number."""

    params: Params
    score: float
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Fitting:
    """What is searched: how to fit, on which rows, and how a fit is scored."""

    fit: Fit
    train: Examples
    valid: Examples
    score: Score


def find(search: Search, fitting: Fitting, journal: Path, workers: int = 1, seed: int = 0) -> SearchResult:
    """Run the trials that the journal does not hold, ``workers`` at a time in threads; one at a time in this one.

    Raises:
        ContractBroken: no trial has a score.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_FREE_TRIALS, n_warmup_steps=_FREE_STEPS)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    space = {name: _distribution(dimension) for name, dimension in search.space.items()}
    with Journal.open(journal) as known, ThreadPoolExecutor(workers) as pool:
        for batch in _batches(search.trials, workers):
            asked = [_ask(study, space, seed + number) for number in batch]
            each = map if workers == 1 else pool.map  # some libraries are connected in one thread, or hold a device
            done = list(each(lambda trial: _trial(fitting, trial, known), asked))
            for trial, outcome in zip(asked, done, strict=True):
                _tell(study, trial, outcome)
    return _best(study, known)


def _batches(trials: int, workers: int) -> Iterator[range]:
    for first in range(0, trials, workers):
        yield range(first, min(first + workers, trials))


def _ask(study: optuna.Study, space: dict[str, Any], seed: int) -> optuna.Trial:
    import optuna

    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study.ask(space)


def _trial(fitting: Fitting, trial: optuna.Trial, known: Journal) -> Trial:
    """Take the trial's outcome from the journal, or run it and write it there."""
    before = known.find(trial.number, trial.params)
    if before is not None:
        for step, score in before.steps:
            trial.report(score, step)
        return before
    steps: list[tuple[int, float]] = []

    def report(step: int, score: float) -> None:
        steps.append((step, float(score)))
        trial.report(float(score), step)
        if trial.should_prune():
            raise Pruned

    try:
        value: float | None = fitting.score(
            fitting.fit(fitting.train, fitting.valid, trial.params, report), fitting.valid
        )
    except Pruned:
        value = None
    return known.add(Trial(trial.number, dict(trial.params), value, steps))


def _tell(study: optuna.Study, trial: optuna.Trial, outcome: Trial) -> None:
    import optuna

    states = optuna.trial.TrialState
    study.tell(trial, outcome.value, state=states.PRUNED if outcome.value is None else states.COMPLETE)


def _best(study: optuna.Study, known: Journal) -> SearchResult:
    trials = tuple(known.trials[trial.number] for trial in study.trials)
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        raise ContractBroken("no trial of the search has a score", "let 'fit' report fewer steps, or search wider")
    best = max(complete, key=lambda trial: (trial.value, -trial.number))
    return SearchResult(best.params, float(best.value or 0.0), trials)


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choice):
        return distributions.CategoricalDistribution(dimension.values)
    if dimension.whole:
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
