"""The search: same answer however often it breaks off, and poor trials end early."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.specs import Binary, Examples, Params, Report, Search, choice, int_range, log_range, uniform
from loopline.platform_core.specs.automatic import Automatic
from loopline.platform_core.training.search.average import weighed
from loopline.platform_core.training.search.journal import Journal
from loopline.platform_core.training.search.search import ALONE, Bounds, Fitting, SearchResult, find

NONE = Examples(np.empty((0, 1)), np.empty(0), ("a",), {})
SPACE = {"x": uniform(-1, 1), "rate": log_range(0.01, 1), "depth": int_range(2, 9), "kind": choice("a", "b")}


class Hill:
    """A fit whose score is known: best at x = 0, reported in five growing steps; it counts its calls."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls = 0
        self.seconds = seconds

    def __call__(self, train: Examples, valid: Examples, params: Params, report: Report) -> Any:
        """Climb."""
        self.calls += 1
        time.sleep(self.seconds)  # what a fit takes: workers race
        top = 1 - abs(float(params["x"]))
        for step in range(1, 6):
            report(step, top * step / 5)
        return top


def search(fit: Any, journal: Path, workers: int = 2, trials: int = 12) -> SearchResult:
    """Search with the estimator itself as its score."""
    fitting = Fitting(fit, NONE, NONE, lambda estimator, _: estimator)
    found = find(Search(trials, SPACE), fitting, journal, Bounds(workers))
    return replace(found, trials=tuple(msgspec.structs.replace(trial, seconds=0.0) for trial in found.trials))


def test_the_best_trial_is_found_and_typed(tmp_path: Path) -> None:
    """Twelve trials of every kind of dimension; the best of them wins."""
    found = search(Hill(), tmp_path / "j")
    values = [trial.value for trial in found.trials if trial.value is not None]
    assert len(found.trials) == 12
    assert found.score == max(values)
    assert found.score == 1 - abs(float(found.params["x"]))
    assert [type(found.params[name]) for name in SPACE] == [float, float, int, str]
    assert all(0.01 <= float(trial.params["rate"]) <= 1 for trial in found.trials)


def test_same_seed_same_search_whatever_the_timing(tmp_path: Path) -> None:
    """Two workers that race do not change which parameters are tried, pruned or chosen."""
    assert search(Hill(), tmp_path / "a") == search(Hill(seconds=0.01), tmp_path / "b")


def test_poor_trials_are_pruned(tmp_path: Path) -> None:
    """Some trials end before their last step, and none of them is the best."""
    found = search(Hill(), tmp_path / "j")
    pruned = [trial for trial in found.trials if trial.value is None]
    assert pruned
    assert all(len(trial.steps) < 5 for trial in pruned)


def test_a_search_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    """A fit that raises in mid-search ends it; what was complete is not run again, and the end is the same."""

    class Breaking(Hill):
        def __call__(self, *given: Any) -> Any:
            """Climb seven times; what is complete is on the disk by then, so that a kill would not lose it."""
            if self.calls == 7:
                assert (tmp_path / "j").read_bytes().count(b"\n") == 7
                raise ValueError("no more memory")
            return super().__call__(*given)

    with pytest.raises(ValueError, match="no more memory"):
        search(Breaking(), tmp_path / "j", workers=1)
    rest = Hill()
    assert search(rest, tmp_path / "j", workers=1) == search(Hill(), tmp_path / "whole", workers=1)
    assert rest.calls == 5


def test_other_parameters_under_the_same_number_do_not_count(tmp_path: Path) -> None:
    """A journal of another space is no answer to this one."""
    find(
        Search(4, {"x": uniform(0.5, 1)}),
        Fitting(Hill(), NONE, NONE, lambda estimator, _: estimator),
        tmp_path / "j",
    )
    hill = Hill()
    assert len(search(hill, tmp_path / "j", trials=4).trials) == 4
    assert hill.calls == 4


def test_no_score_at_all_is_an_error(tmp_path: Path) -> None:
    """No trials, no best one."""
    with pytest.raises(ContractBroken, match="no trial"):
        search(Hill(), tmp_path / "j", trials=0)


def test_an_empty_space_is_one_fit(tmp_path: Path) -> None:
    """A model without a search has its one set of parameters: none."""

    def fit(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
        report(1, 0.5)
        return 0.5

    found = find(Search(trials=1), Fitting(fit, NONE, NONE, lambda estimator, _: estimator), tmp_path / "j")
    assert (found.params, found.score) == ({}, 0.5)


def test_journal_drops_a_line_that_was_not_finished(tmp_path: Path) -> None:
    """A kill in the middle of a write costs that trial only; the next line is whole."""
    path = tmp_path / "j"
    whole = search(Hill(), path, workers=1, trials=3)
    path.write_bytes(path.read_bytes()[:-9])
    with Journal.open(path) as journal:
        assert sorted(journal.trials) == [0, 1]
        journal.add(whole.trials[2])
    with Journal.open(path) as journal:
        assert journal.trials[2] == whole.trials[2]


def steady(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
    """Climb less, whatever is tried."""
    return 0.2


def hilly(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
    """Climb as ``Hill`` does."""
    return 1 - abs(float(params["x"]))


SEVERAL = Search(12, {"hilly.x": uniform(-1, 1)}, estimators=(steady, hilly))


def several(journal: Path, bounds: Bounds = ALONE, search: Search = SEVERAL) -> SearchResult:
    """Search among both."""
    fit = Automatic(search, Binary())
    return find(search, Fitting(fit, NONE, NONE, lambda estimator, _: estimator), journal, bounds)


def test_of_several_estimators_each_is_tried_and_the_better_more_often(tmp_path: Path) -> None:
    """A trial has the parameters of its own estimator only; a search that is repeated asks the same."""
    found = several(tmp_path / "j")
    tried = [str(trial.params["family"]) for trial in found.trials]
    assert set(tried[:2]) == {"steady", "hilly"}
    assert found.params["family"] == "hilly"
    assert {tuple(trial.params) for trial in found.trials} == {("family",), ("family", "hilly.x")}
    assert several(tmp_path / "j") == found


def test_a_champion_s_parameters_come_first(tmp_path: Path) -> None:
    """Before what is usual."""
    begin = {"family": "hilly", "hilly.x": 0.125}
    found = several(tmp_path / "j", Bounds(begins=(begin,)))
    assert found.trials[0].params == begin
    assert found.score >= 0.875


def test_no_trial_begins_when_the_time_is_over(tmp_path: Path) -> None:
    """What trials took is in the journal: a search that goes on ends where it would have ended."""
    slow = Hill(seconds=0.02)
    fitting = Fitting(slow, NONE, NONE, lambda estimator, _: estimator)
    found = find(Search(50, SPACE), fitting, tmp_path / "j", Bounds(2, seconds=0.05))
    assert 2 <= len(found.trials) <= 6
    assert find(Search(50, SPACE), fitting, tmp_path / "j", Bounds(2, seconds=0.05)) == found
    assert slow.calls == len(found.trials)
    assert len(find(Search(50, SPACE), fitting, tmp_path / "j", Bounds(2, seconds=1e-9)).trials) == 2


def test_an_average_is_never_worse_than_the_best_alone() -> None:
    """Errors that lie apart even out; one that helps nobody has no weight."""
    truth, noise = np.zeros(200), np.random.default_rng(0).normal(size=(2, 200))
    raw = [noise[0], noise[1], noise[0] + 50]
    weights, best = weighed(raw, lambda mean: -float(((mean - truth) ** 2).mean()))
    assert set(weights) == {0, 1}
    assert sum(weights.values()) == pytest.approx(1)
    assert best > max(-float((one**2).mean()) for one in raw)
    alone, _ = weighed([truth, noise[0]], lambda mean: -float((mean**2).mean()))
    assert alone == {0: 1.0}
