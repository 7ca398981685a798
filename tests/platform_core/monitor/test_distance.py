"""Distances are Evidently's, to the last digits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from loopline.platform_core.foundation.distance import LARGEST, finite, js_distance, wasserstein
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn

Draw = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, Draw] = {
    "normal": lambda r, n: r.normal(size=n),
    "uniform": lambda r, n: r.random(n),
    "lognormal": lambda r, n: r.lognormal(0, 1, n),
    "pareto": lambda r, n: r.pareto(2.5, n),
    "exponential": lambda r, n: r.exponential(5, n),
    "poisson": lambda r, n: r.poisson(3, n).astype(float),
    "two_humps": lambda r, n: np.where(r.random(n) < 0.5, r.normal(size=n), r.normal(6, 1, n)),
    "mostly_zero": lambda r, n: r.exponential(size=n) * (r.random(n) > 0.6),
    "flags": lambda r, n: (r.random(n) < 0.1).astype(float),
    "constant": lambda r, n: np.full(n, 7.0),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_wasserstein_is_scipys_in_deviations_of_the_second(name: str, shift: float) -> None:
    """The distance equals SciPy's divided by the deviation of the reference, floored as Evidently floors it."""
    random = np.random.default_rng(5)
    a, b = SHAPES[name](random, 700) + shift, SHAPES[name](random, 1_100)
    expected = wasserstein_distance(a, b) / max(float(np.std(b)), 1e-3)
    assert wasserstein(a, b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("categories", [1, 2, 5, 50, 500])
@pytest.mark.parametrize("emptied", [0.0, 0.4])
def test_jensen_shannon_is_scipys(categories: int, emptied: float) -> None:
    """The distance equals SciPy's, also where a category is empty on one side."""
    random = np.random.default_rng(categories)
    p, q = random.integers(1, 100, (2, categories))
    q[1:] = np.where(random.random(categories - 1) < emptied, 0, q[1:])
    assert js_distance(p, q) == pytest.approx(jensenshannon(p, q), abs=1e-9)


@pytest.mark.parametrize(
    "value", [None, np.nan, np.inf, 1e101, -1e101, 1.7976931348623157e308, -1.7976931348623157e308]
)
def test_values_that_no_sum_can_hold_do_not_count(value: float | None) -> None:
    """Null, NaN, infinity, what programs write for "no value", and what has no square are left out of both sides."""
    assert wasserstein([1.0, value, value], [1.0, 3.0, value]) == wasserstein([1.0], [1.0, 3.0])
    assert finite([1.0, value, LARGEST, -LARGEST]).tolist() == [1.0, LARGEST, -LARGEST]


def test_the_largest_values_that_count_have_a_distance() -> None:
    """Half a side at the bound, of either sign: the distance is a number, and grows with the share."""
    ends = [-LARGEST, LARGEST] * 50
    assert wasserstein(ends, [0.0, 1.0]) > wasserstein([*ends, *[0.0] * 100], [0.0, 1.0]) > 1e99
    assert 0 < wasserstein([0.0], ends) <= 1


def test_an_empty_side_is_no_distance() -> None:
    """Nothing on one side gives 0, not an error."""
    assert wasserstein([], [1.0]) == js_distance([0, 0], [1, 2]) == 0.0


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_values_of_any_scale_lie_as_far_apart(scale: float) -> None:
    """A model's score may be a rate of a millionth or an amount of millions: both drift by their own deviations."""
    random = np.random.default_rng(0)
    before, after = random.gamma(2, 1, 3_000), random.gamma(2, 1.3, 3_000)
    assert wasserstein(after * scale, before * scale) == pytest.approx(wasserstein(after, before))
    found = [
        column.distance(column.count_numbers(after * by))
        for by in (1.0, scale)
        for column in [NumericColumn.of(before * by)]
    ]
    assert found[1] == pytest.approx(found[0])
