"""Hyperparameter search: resumes after a crash, with the same result either way.

Trials run in batches of ``workers``, in threads or as tasks of their own. What a batch tries depends on the seed and
on the batches before it alone: the sampler is seeded afresh for each trial, and the pruner looks at complete trials
only. So a search that was killed asks the same questions when it is repeated, and takes the answers that it finds in
its journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from loopline.platform_core.errors import ContractBroken, TaskFailed
from loopline.platform_core.specs.examples import Examples, Fit, Params, Pruned
from loopline.platform_core.specs.search import FAMILY, Search
from loopline.platform_core.specs.space import Choice, Dimension
from loopline.platform_core.training.search.journal import Journal, Trial

if TYPE_CHECKING:
    import optuna

FREE_TRIALS = 4
"""Trials that are never pruned: the others are held against their median."""
FREE_STEPS = 1
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

    def tried(self, number: int, params: Params, ends: Callable[[Sequence[tuple[int, float]]], bool]) -> Trial:
        """Fit once, and score it on the validation rows; after each step ``ends`` may say that it is not worth it."""
        steps: list[tuple[int, float]] = []
        began = time.perf_counter()

        def report(step: int, score: float) -> None:
            steps.append((step, float(score)))
            if ends(steps):
                raise Pruned

        try:
            value: float | None = self.score(self.fit(self.train, self.valid, params, report), self.valid)
        except Pruned:
            value = None
        return Trial(number, dict(params), value, steps, round(time.perf_counter() - began, 3))

    def attempt(self, trial: optuna.Trial, earlier: Sequence[Trial]) -> Trial:  # noqa: ARG002 - the study knows them
        """Do a trial in this thread."""

        def ends(steps: Sequence[tuple[int, float]]) -> bool:
            step, score = steps[-1]
            trial.report(score, step)
            return bool(trial.should_prune())

        return self.tried(trial.number, trial.params, ends)


class Attempts(Protocol):
    """Does trials: ``Fitting`` in a thread of this process, ``trials.Tasks`` as tasks of their own."""

    def attempt(self, trial: optuna.Trial, earlier: Sequence[Trial]) -> Trial:
        """Do one, and report its steps to it; ``earlier`` are the complete ones of the batches before."""


@dataclass(frozen=True)
class Bounds:
    """Within what a search stays: so many trials at a time, and no new ones once ``seconds`` were spent on trials.

    ``begins`` are parameters that are tried first.
    """

    workers: int = 1
    seconds: float | None = None
    begins: tuple[Params, ...] = ()


ALONE = Bounds()
"""One trial at a time, as many as the search says."""


def find(search: Search, attempts: Attempts, journal: Path, bounds: Bounds = ALONE, seed: int = 0) -> SearchResult:
    """Have the trials done that the journal does not hold, so many at a time; one at a time in this thread.

    When a trial raises, the others of its batch are waited for and kept. What trials took is in the journal, so that
    a search which was killed ends where it would have ended.

    Raises:
        ContractBroken: no trial has a score.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=FREE_TRIALS, n_warmup_steps=FREE_STEPS)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for params in (*bounds.begins, *search.begins()):
        study.enqueue_trial(dict(params))
    complete: list[Trial] = []
    spent = 0.0
    with Journal.open(journal) as known:
        for batch in _batches(search.trials, bounds.workers):
            if bounds.seconds is not None and spent >= bounds.seconds:
                break
            asked = [_ask(study, search, seed + number) for number in batch]
            done = _at_once([partial(_trial, attempts, trial, known, tuple(complete)) for trial in asked])
            for trial, outcome in zip(asked, done, strict=True):
                _tell(study, trial, outcome)
            complete += [outcome for outcome in done if outcome.value is not None]
            spent += max(outcome.seconds for outcome in done)
    return _best(study, known)


def _at_once(calls: Sequence[Callable[[], Trial]]) -> list[Trial]:
    """Call each in a thread of its own; one alone in this thread: some libraries hold a connection or device by it.

    The threads do not keep a process from ending that is interrupted here.
    """
    if len(calls) == 1:
        return [calls[0]()]
    done: list[Trial | Exception] = [TaskFailed("a trial was not done", "run the search again")] * len(calls)

    def run(place: int) -> None:
        try:
            done[place] = calls[place]()
        except Exception as error:  # noqa: BLE001 - raised below
            done[place] = error

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in done:
        if isinstance(outcome, Exception):
            raise outcome
    return [outcome for outcome in done if isinstance(outcome, Trial)]


def _batches(trials: int, workers: int) -> Iterator[range]:
    for first in range(0, trials, workers):
        yield range(first, min(first + workers, trials))


def _ask(study: optuna.Study, search: Search, seed: int) -> optuna.Trial:
    """Ask what to try next; of several estimators which one, and then the parameters of that one."""
    import optuna

    study.sampler = optuna.samplers.TPESampler(seed=seed)
    if not search.estimators:
        return study.ask({name: _distribution(dimension) for name, dimension in search.space.items()})
    trial = study.ask({FAMILY: optuna.distributions.CategoricalDistribution(tuple(search.families))})
    for name, dimension in search.dimensions(str(trial.params[FAMILY])).items():
        _suggested(trial, name, dimension)
    return trial


def _suggested(trial: optuna.Trial, name: str, dimension: Dimension) -> None:
    if isinstance(dimension, Choice):
        trial.suggest_categorical(name, dimension.values)
    elif dimension.whole:
        trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    else:
        trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)


def _trial(attempts: Attempts, trial: optuna.Trial, known: Journal, earlier: Sequence[Trial]) -> Trial:
    """Take the trial's outcome from the journal, or run it and write it there."""
    before = known.find(trial.number, trial.params)
    if before is not None:
        for step, score in before.steps:
            trial.report(score, step)
        return before
    return known.add(attempts.attempt(trial, earlier))


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
