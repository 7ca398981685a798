"""A search names what it chooses among; what it cannot try is refused where it is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs import Binary, Model, Params, Search, choice, int_range, uniform
from loopline.platform_core.specs.families import FAMILIES
from loopline.platform_core.targets import Target
from loopline.platform_core.testing.engines.engine_tables import large_order, spending
from tests.platform_core.three_classes import Three

FOUR = ("trees", "linear", "neighbours", "network")


def own(train: Any, valid: Any, params: Params, report: Any) -> Any:
    """Fit as a team does."""
    return params


def test_each_family_is_tried_with_what_is_usual_for_it() -> None:
    """Within what the search allows, and its parameters are those of its space."""
    assert tuple(FAMILIES) == FOUR
    for family in FAMILIES.values():
        assert all(family.space[name].holds(value) for name, value in family.usual.items())
        assert set(family.usual) == set(family.space)
    search = Search(5, {"trees.num_leaves": int_range(4, 6), "own.x": uniform(0, 1)}, estimators=("trees", own))
    trees, mine = search.begins()
    assert "trees.num_leaves" not in trees, "what is usual lies beyond what is allowed"
    assert trees["trees.learning_rate"] == FAMILIES["trees"].usual["learning_rate"]
    assert mine == {"family": "own"}
    assert search.dimensions("trees")["trees.num_leaves"] == int_range(4, 6)
    assert set(search.dimensions("own")) == {"own.x"}


def test_a_champion_s_parameters_are_taken_as_far_as_they_are_allowed() -> None:
    """One of another search, of an estimator that is gone, or with a value that is out of bounds is no start."""
    plain = Search(3, {"x": uniform(0, 1), "kind": choice("a", True)})
    assert plain.allowed({"x": 0.5, "kind": "a", "gone": 1}) == {"x": 0.5, "kind": "a"}
    assert plain.allowed({"x": 2, "kind": 1}) == {}
    several = Search(3, estimators=("linear", own))
    assert several.allowed({"family": "linear", "linear.strength": 3.0}) == {"family": "linear", "linear.strength": 3.0}
    assert several.allowed({"family": "trees", "trees.num_leaves": 9}) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"estimators": ("tree",)}, "write 'trees'"),
        ({"estimators": ("trees", "trees")}, "named twice"),
        ({"trials": 1, "estimators": ("trees", "linear")}, "untried"),
        ({"estimators": ("trees",), "space": {"num_leaves": int_range(2, 9)}}, "parameter of the search's"),
        ({"estimators": ("trees",), "space": {"trees.leaves": int_range(2, 9)}}, "write 'trees.num_leaves'"),
        ({"seconds": 0}, "above 0"),
        ({"cost": -1.0}, "above 0"),
        ({"ensemble": 1}, "2 or more"),
    ],
)
def test_what_a_search_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidSpec, match=said):
        Search(**{"trials": 4, **given})


def model(target: Target, search: Search, **more: Any) -> Model:
    """Declare one."""
    return Model("m", (spending,), large_order, search=search, target=target, **more)


def test_a_model_is_fitted_by_one_thing() -> None:
    """Its function, or what its search names; a copy of a model stays what it was."""
    search = Search(2, estimators=("trees", "linear"))
    with pytest.raises(InvalidSpec, match="names nothing that fits"):
        model(Binary(), Search(1))
    with pytest.raises(InvalidSpec, match="beside the estimators"):
        model(Binary(), search, fit=own)
    declared = model(Binary(), search)
    wider = replace(declared, search=replace(search, trials=9))
    assert wider.fit.search.trials == 9  # type: ignore[attr-defined]
    assert model(Binary(), Search(1), fit=own).fit is own
    assert model(Three(), Search(2, estimators=(own,))).fit is not own
    with pytest.raises(InvalidSpec, match="no family learns"):
        model(Three(), search)
