"""Our kinds of models keep every promise of a target."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core import targets
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
from loopline.platform_core.testing.promises import promises, tried_by
from loopline.platform_core.testing.target import Sample, TargetKit


class TestBinary(TargetKit):
    """Labels 0 and 1."""

    @pytest.fixture
    def target(self) -> Target:
        return Binary(threshold=0.3)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.binary()


class TestMulticlass(TargetKit):
    """One of three texts."""

    @pytest.fixture
    def target(self) -> Target:
        return Multiclass(target_samples.CLASSES)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.multiclass()


class TestForecast(TargetKit):
    """Three steps of a series, of which the last has not come everywhere."""

    @pytest.fixture
    def target(self) -> Target:
        return Forecast(horizon=3, season=2, history=4, unit="pieces", levels=("group",))

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.forecast()


class TestMultilabel(TargetKit):
    """Any of three texts."""

    @pytest.fixture
    def target(self) -> Target:
        return Multilabel(target_samples.CLASSES, threshold=0.4)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.multilabel()


class TestRegression(TargetKit):
    """A number with a unit."""

    @pytest.fixture
    def target(self) -> Target:
        return Regression(unit="GBP", largest_error=100.0)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.regression()


class TestCount(TargetKit):
    """A number from 0 on."""

    @pytest.fixture
    def target(self) -> Target:
        return Count(unit="pieces", power=1.3, largest_error=20.0)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.count()


class TestGraph(TargetKit):
    """Several models that answer as one."""

    @pytest.fixture
    def target(self) -> Target:
        return Graph(of=Binary(threshold=0.3), steps={"one": 1, "other": 1})

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.graph()


class TestRanking(TargetKit):
    """The best of many items."""

    @pytest.fixture
    def target(self) -> Target:
        return Ranking(target_samples.ITEMS, target_samples.LISTED, most=20, popularity=target_samples.POPULAR)

    @pytest.fixture
    def sample(self) -> Sample:
        return target_samples.ranking()


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
