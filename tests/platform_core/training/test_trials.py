"""Trials as tasks: the same search as in threads, whoever is killed, and whatever he loses with that."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.contracts.compute import Compute
from loopline.platform_core.errors import InvalidSpec, TaskFailed
from loopline.platform_core.specs import Examples, Params, Pruned, Report, Requirements, Search, log_range, uniform
from loopline.platform_core.training.search import trials
from loopline.platform_core.training.search.journal import Trial
from loopline.platform_core.training.search.search import Bounds, Fitting, SearchResult, find
from loopline.platform_core.training.search.trials import Tasks, bars, tried
from loopline.resources.in_process.compute import InProcessCompute

NONE = Examples(np.empty((0, 1)), np.empty(0), ("a",), {})
SPACE = {"x": uniform(-1, 1), "rate": log_range(0.01, 1)}
SEARCH = Search(12, SPACE, parallel=3)
CALLS: list[Params] = []


def climb(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
    """Score 1 at x = 0, reported in five growing steps."""
    CALLS.append(params)
    top = 1 - abs(float(params["x"]))
    for step in range(1, 6):
        report(step, top * step / 5)
    return top


HILL = Fitting(climb, NONE, NONE, lambda estimator, _: float(estimator))


def attempt(asked: Mapping[str, Any], **_: Any) -> dict[str, Any]:
    """Do one trial as a task."""
    done = tried(HILL, asked)
    return {"number": done.number, "params": done.params, "value": done.value, "steps": done.steps}


@pytest.fixture(autouse=True)
def _hill(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "hill_of_trials", sys.modules[__name__])
    monkeypatch.setattr(trials, "TRY", "hill_of_trials:attempt")
    CALLS.clear()


class Breaking(InProcessCompute):
    """Loses the caller's patience after so many tasks: as if that were killed."""

    left: int = 7

    def run(self, task: str, args: Mapping[str, Any], requirements: Requirements, key: str) -> Any:
        """Count down."""
        if self.left == 0:
            raise TaskFailed("the node went", "run it again")
        self.left -= 1
        return super().run(task, args, requirements, key)


def searched(compute: Compute, journal: Path) -> SearchResult:
    """Search by tasks, three at a time."""
    return timeless(
        find(SEARCH, Tasks(compute, {"key": "c1", "team": "t"}, Requirements(memory_gb=0.1)), journal, Bounds(3))
    )


def timeless(found: SearchResult) -> SearchResult:
    """Forget how long it took."""
    return replace(found, trials=tuple(msgspec.structs.replace(trial, seconds=0.0) for trial in found.trials))


def test_tasks_and_threads_search_alike(tmp_path: Path) -> None:
    """The same trials, pruned at the same steps, and the same best one."""
    by_tasks = searched(InProcessCompute(), tmp_path / "tasks")
    assert by_tasks == timeless(find(SEARCH, HILL, tmp_path / "threads", Bounds(3)))
    assert any(trial.value is None for trial in by_tasks.trials)


def test_a_caller_that_ends_early_goes_on_after_what_was_finished(tmp_path: Path) -> None:
    """What the journal holds is not asked for again, and the end is the same."""
    with pytest.raises(TaskFailed, match="the node went"):
        searched(Breaking(), tmp_path / "j")
    before = len(CALLS)
    assert before == 7
    assert searched(InProcessCompute(), tmp_path / "j") == timeless(find(SEARCH, HILL, tmp_path / "whole", Bounds(3)))
    assert len(CALLS) == before + (12 - 7) + 12


def test_a_caller_that_lost_its_disk_finds_the_answers_by_their_keys(tmp_path: Path) -> None:
    """Its journal went with its pod: no trial is computed twice."""
    compute = InProcessCompute()
    first = searched(compute, tmp_path / "lost" / "j")
    shutil.rmtree(tmp_path / "lost")
    before = len(CALLS)
    assert searched(compute, tmp_path / "j") == first
    assert len(CALLS) == before


def test_another_question_under_the_same_number_is_another_task(tmp_path: Path) -> None:
    """The space was changed between two attempts: an old answer is none to the new question."""
    compute = InProcessCompute()
    searched(compute, tmp_path / "a")
    other = Search(4, {"x": uniform(0.5, 1)}, parallel=3)
    found = find(other, Tasks(compute, {"key": "c1"}, Requirements(memory_gb=0.1)), tmp_path / "b", Bounds(3))
    assert all(0.5 <= float(trial.params["x"]) <= 1 for trial in found.trials)
    assert set(found.params) == {"x"}


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=0, max_size=8), st.lists(st.floats(0, 1)))
def test_a_task_is_pruned_where_optuna_prunes(earlier: list[list[float]], steps: list[float]) -> None:
    """Its bars say what the whole study would."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    )
    known = [Trial(n, {}, 0.5, list(enumerate(one))) for n, one in enumerate(earlier)]
    for one in known:
        study.add_trial(optuna.trial.create_trial(value=0.5, intermediate_values=dict(one.steps)))

    def replay(_train: Examples, _valid: Examples, _params: Params, report: Report) -> float:
        for step, score in enumerate(steps):
            report(step, score)
        return 1.0

    live = study.ask()
    there: int | None = None
    for step, score in enumerate(steps):
        live.report(score, step)
        if live.should_prune():
            there = step
            break
    fitting = Fitting(replay, NONE, NONE, lambda estimator, _: float(estimator))
    here = tried(fitting, {"number": 0, "params": {}, "bars": bars(known)})
    assert (here.value is None) == (there is not None)
    assert here.steps == list(enumerate(steps))[: len(steps) if there is None else there + 1]


def test_a_negative_number_at_a_time_is_refused() -> None:
    """Pruned trials are those that end early, not those that never begin."""
    with pytest.raises(InvalidSpec):
        Search(3, parallel=-1)
    assert issubclass(Pruned, Exception)
