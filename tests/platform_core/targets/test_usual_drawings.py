"""What people look at of classes and of numbers, of many rows and of few."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.platform_core.specs import Multiclass, Multilabel, Regression
from loopline.platform_core.targets.drawing import to_json

RANDOM = np.random.default_rng(2)


def test_classes_are_drawn_by_what_they_were_taken_for() -> None:
    """A row of the grid adds up to 1; of many classes the most frequent ones stand apart."""
    target = Multiclass(("bag", "lamp", "toy"))
    raw = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    grid, plot = target.drawings(target.rows(np.array([0.0, 0.0, 1.0, 1.0]), raw), [])
    assert (grid.rows, grid.values) == (["bag", "lamp", "toy"], [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    assert plot.curves[0].dots[0].y == 0.75
    many = Multiclass(tuple(range(50)))
    chances = RANDOM.dirichlet(np.ones(50), 900)
    grid, _ = many.drawings(many.rows(RANDOM.integers(0, 50, 900).astype(float), chances), [])
    assert (len(grid.rows), grid.rows[-1]) == (21, "others")
    assert np.sum(grid.values, axis=1) == pytest.approx(np.ones(21), abs=0.02)


def test_a_model_that_is_too_sure_lies_below_the_line() -> None:
    """Its answers are right less often than it says; the interval tells what chance makes of it."""
    target = Multiclass(("bag", "lamp"))
    sure = RANDOM.uniform(0.7, 1, 2_000)
    labels = (RANDOM.random(2_000) > sure - 0.15).astype(float)
    _, plot = target.drawings(target.rows(labels, np.column_stack([sure, 1 - sure])), [])
    assert len(plot.curves[0].dots) == 10
    assert all(dot.y < dot.x and dot.low <= dot.y <= dot.high for dot in plot.curves[0].dots)


def test_residuals_are_drawn_by_what_was_expected() -> None:
    """With the unit; half of the rows lie within the band."""
    target = Regression("GBP")
    said = RANDOM.uniform(0, 100, 1_000)
    (plot,) = target.drawings(target.rows(said + RANDOM.normal(0, 5, 1_000), said), [])
    assert plot.x == "expected (GBP)"
    assert all(dot.high - dot.low == pytest.approx(6.7, abs=2.5) for dot in plot.curves[0].dots)


def test_few_rows_and_none_are_drawn_as_far_as_they_tell() -> None:
    """A single row is a dot; of none nothing is drawn; all of it is JSON."""
    for target, label, width in ((Multiclass(("a", "b")), 1.0, 2), (Multilabel(("a", "b")), [1.0, 0.0], 2)):
        one = target.rows(np.array([label]), np.full((1, width), 0.5))
        assert to_json(target.drawings(one, []))
        assert list(target.drawings(one.where(np.zeros(1, np.bool_)), [])) == []
    number = Regression().rows(np.array([3.0]), np.array([2.0]))
    assert to_json(Regression().drawings(number, []))
    assert list(Regression().drawings(number.where(np.zeros(1, np.bool_)), [])) == []
