"""Our kinds of models keep every promise of a target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from loopline.platform_core import targets
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import (
    Binary,
    Count,
    Forecast,
    Graph,
    Multiclass,
    Multilabel,
    Ranking,
    Regression,
    Target,
)
from loopline.platform_core.testing import target_samples
from loopline.platform_core.testing.promised.promises import promises, tried_by
from loopline.platform_core.testing.target import Sample, TargetKit


class _Ours(TargetKit):
    """The kit on a target, and on what makes its sample."""

    given: ClassVar[tuple[Target, Callable[[], Sample]]]

    @pytest.fixture
    def target(self) -> Target:
        """Give it."""
        return self.given[0]

    @pytest.fixture
    def sample(self) -> Sample:
        """Give what such a model may see."""
        return self.given[1]()


class TestBinary(_Ours):
    """Labels 0 and 1."""

    given = Binary(threshold=0.3), target_samples.binary


class TestMulticlass(_Ours):
    """One of three texts."""

    given = Multiclass(target_samples.CLASSES), target_samples.multiclass


class TestForecast(_Ours):
    """Three steps of a series, of which the last has not come everywhere."""

    given = Forecast(horizon=3, season=2, history=4, unit="pieces", levels=("group",)), target_samples.forecast


class TestMultilabel(_Ours):
    """Any of three texts."""

    given = Multilabel(target_samples.CLASSES, threshold=0.4), target_samples.multilabel


class TestRegression(_Ours):
    """A number with a unit."""

    given = Regression(unit="GBP", largest_error=100.0), target_samples.regression


class TestCount(_Ours):
    """A number from 0 on."""

    given = Count(unit="pieces", power=1.3, largest_error=20.0), target_samples.count


class TestGraph(_Ours):
    """Several models that answer as one."""

    given = Graph(of=Binary(threshold=0.3), steps={"one": 1, "other": 1}), target_samples.graph


class TestRanking(_Ours):
    """The best of many items."""

    given = (
        Ranking(target_samples.ITEMS, target_samples.LISTED, most=20, popularity=target_samples.POPULAR),
        target_samples.ranking,
    )


def test_each_promise_has_a_test() -> None:
    """And no test is of none."""
    assert {number for number, _, _ in tried_by(TargetKit)} == set(promises(Target))


def test_a_kind_is_named_by_its_file() -> None:
    """One file a kind, of its name."""
    folder = Path(targets.__file__).parent
    ours = [one for one in targets.known() if one.__module__.startswith("loopline.")]
    assert len(ours) == 8
    assert all(folder.joinpath(f"{one.kind}.py").exists() for one in ours)
    assert targets.from_json(Count(power=1.2).to_json()) == Count(power=1.2)


@pytest.mark.parametrize(
    ("kind", "settings", "wrong"),
    [
        (Count, {"power": 0.5}, ["power"]),
        (Count, {"power": 2.0}, ["power"]),
        (Count, {"power": 3.0}, ["power"]),
        (Count, {"largest_error": 0}, ["largest_error"]),
        (Forecast, {"horizon": 1}, ["horizon"]),
        (Forecast, {"quantiles": (0.1, 0.9)}, ["quantiles"]),
        (Forecast, {"quantiles": (0.5, 0.1, 0.9)}, ["quantiles"]),
        (Forecast, {"season": 0}, ["season"]),
        (Forecast, {"history": 3}, ["history"]),
        (Forecast, {"step_days": 0, "largest_scaled": 0}, ["step_days", "largest_scaled"]),
        (Multiclass, {}, ["classes", "top_k"]),
        (Multiclass, {"classes": ("a", "b", "a")}, ["classes"]),
        (Multiclass, {"classes": ("a", 2)}, ["classes"]),
        (Multiclass, {"classes": (True, False)}, ["classes"]),
        (Multiclass, {"classes": ("a", "b"), "top_k": 3}, ["top_k"]),
        (Multilabel, {}, ["classes"]),
        (Multilabel, {"classes": ("a", "b", "a")}, ["classes"]),
        (Multilabel, {"classes": ("a", 2)}, ["classes"]),
        (Multilabel, {"classes": ("a", "b"), "threshold": 1.0}, ["threshold"]),
        (Ranking, {}, ["k"]),
        (Ranking, {"items": ("a", "b", "a"), "k": 1}, ["items"]),
        (Ranking, {"items": ("a", 2, "c"), "k": 1}, ["items"]),
        (Ranking, {"items": tuple("abcd"), "k": 2}, ["k"]),
        (Ranking, {"items": tuple("abcd"), "k": 1, "most": 0}, ["most"]),
        (Ranking, {"items": tuple("abc"), "k": 1, "popularity": (0.1,)}, ["popularity"]),
        (Ranking, {"items": tuple("abc"), "k": 1, "popularity": (0.1, 0.0, 0.2)}, ["popularity"]),
    ],
)
def test_settings_that_say_nothing_are_named(kind: Any, settings: dict[str, Any], wrong: list[str]) -> None:
    """Each with a problem and a fix: a power of no family with zeros, quantiles without a middle, no classes."""
    assert [setting for setting, problem, fix in kind(**settings).problems() if problem and fix] == wrong


@pytest.mark.parametrize("kind", [Multiclass, Ranking])
def test_classes_and_items_are_a_sequence(kind: Any) -> None:
    """A list is as good as a tuple, and one text is no sequence."""
    assert kind(["a", "b"]) == kind(("a", "b"))
    with pytest.raises(InvalidSpec, match="are one text"):
        kind("ab")


@pytest.mark.parametrize(
    ("target", "labels", "said"),
    [
        (Count(), [0.0, None, -2.0], "label -2.0 in 1 rows: "),
        (Multiclass(("a", "b")), ["a", None, "c", "c"], "label c in 2 rows"),
        (Multiclass(("a", "b")), [1.0, None], "label 1.0 in 1 rows"),
        (Multiclass((1, 2)), [1.0, None, 3.0, float("nan")], "label 3.0 in 2 rows"),
        (Multiclass((1, 2)), ["1", "2"], "label 1 in 2 rows"),
        (Multiclass((1, 2)), [1.0, None, 2.0], ""),
        (Multilabel(("toy",)), ["toy"], "label toy is no list: "),
        (Multilabel(("toy",)), [["toy"], ["toy", "cat"]], "label ['toy', 'cat'] in 1 rows: "),
        (Multilabel(("toy",)), [["toy", None]], "label "),
        (Multilabel((10, 20)), [["10"]], "label ['10'] in 1 rows"),
        (Ranking(("a", "b"), most=3), [["a"], None, [], ["b", "a"]], ""),
        (Ranking(("a", "b"), most=3), [["a"], ["c", "a"], ["c"]], "label ['c', 'a'] in 2 rows: write c behind"),
        (Ranking(("a", "b"), most=3), [["a"], ["a", None]], "label ['a', None] in 1 rows"),
        (Ranking(("a", "b"), most=3), [[1.0]], "label [1.0] in 1 rows"),
        (Ranking((1, 2), most=3), [[1.0, 2.0], [2.5]], "label [2.5] in 1 rows"),
        (Ranking((1, 2), most=3), [["1"]], "label ['1'] in 1 rows"),
        (Ranking(tuple("abcd"), most=3), [[*"abcd"]], "label of 4 items (a, ...) in 1 rows: let the target's 'most'"),
        (Ranking(("a", "b"), most=3), ["a", None], "label a in 1 rows: return a list"),
    ],
)
def test_what_is_not_declared_is_no_label(target: Target, labels: list[Any], said: str) -> None:
    """Of the other type, of no class, or no list; nothing is learnt from labels, and one that took nothing has none."""
    told = target.trouble(pa.chunked_array([labels]))
    assert told.startswith(said)
    assert bool(told) == bool(said)
