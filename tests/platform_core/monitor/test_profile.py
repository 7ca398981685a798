"""A profile measures as its rows would, and travels in the package."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import wasserstein_distance

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.monitor.drift.columns.category import KNOWN, TOP, CategoryColumn
from loopline.platform_core.monitor.drift.columns.numeric import NumericColumn
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT
from loopline.platform_core.monitor.drift.profile import SAMPLE_ROWS, Profile, build_profile

SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "uniform": lambda r, n: r.random(n),
    "lognormal": lambda r, n: r.lognormal(0, 2, n),
    "pareto": lambda r, n: r.pareto(2.5, n),
    "poisson": lambda r, n: r.poisson(3, n).astype(float),
    "two_humps": lambda r, n: np.where(r.random(n) < 0.5, r.normal(size=n), r.normal(6, 1, n)),
    "mostly_zero": lambda r, n: r.exponential(size=n) * (r.random(n) > 0.6),
}


def profiled(values: np.ndarray | list[str | None]) -> Profile:
    """Profile one column."""
    table = pa.table({"x": values})
    return build_profile(table, ["x"], np.zeros(table.num_rows))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("shift", [0.0, 0.11, 0.5])
def test_scores_against_a_profile_are_those_against_its_rows(name: str, shift: float) -> None:
    """The profile's score lies within 0.001 of SciPy's over all 30,000 rows, heavy tails and atoms included."""
    random = np.random.default_rng(1)
    reference = SHAPES[name](random, 30_000)
    window = SHAPES[name](random, 600) + shift * reference.std()
    column = profiled(reference).columns["x"]
    assert isinstance(column, NumericColumn)
    assert len(column.edges) <= 1_700
    expected = wasserstein_distance(reference, window) / reference.std()
    assert column.distance(column.count_numbers(window)) == pytest.approx(expected, abs=0.001)


def test_a_small_reference_is_measured_exactly() -> None:
    """With fewer rows than edges nothing is lost."""
    random = np.random.default_rng(1)
    reference, window = random.normal(size=400), random.normal(0.2, 1, 300)
    column = profiled(reference).columns["x"]
    expected = wasserstein_distance(reference, window) / reference.std()
    assert column.distance(column.count_numbers(window)) == pytest.approx(expected, abs=2e-3)


def test_rare_categories_fold_into_other() -> None:
    """Fifty categories keep their count, others fold and keep their names up to a bound."""
    values = [f"top{i % 50}" for i in range(10_000)] + [f"rare{i}" for i in range(KNOWN + 10)]
    column = profiled(values).columns["x"]
    assert isinstance(column, CategoryColumn)
    assert set(column.counts) == {f"top{i}" for i in range(TOP)}
    assert column.other == KNOWN + 10
    assert len(column.rest) == KNOWN
    assert column.measure(column.count_names({"top0": 10, "rare3": 4, "new": 1}, 15))[0].score > 0.5


def test_missing_values_are_counted_apart() -> None:
    """Null, NaN and infinity make up the missing share and do not move the distribution."""
    numeric = profiled(np.array([1.0, 2.0, np.nan, np.inf])).columns["x"]
    category = profiled(["a", None, "a", "b"]).columns["x"]
    assert (numeric.rows, numeric.missing_share) == (2, 0.5)
    assert (category.rows, category.missing_share) == (3, 0.25)


@pytest.mark.parametrize("vector", [False, True])
def test_values_that_no_sum_can_hold_are_missing_in_a_profile(tmp_path, vector: bool) -> None:
    """Twenty of 2,000 rows hold the largest float64: they are 1 % missing, and the package can be read."""
    values = np.random.default_rng(0).normal(size=(2_000, 2))
    values[:20, 0] = np.finfo(float).max
    profiled(values.tolist() if vector else values[:, 0]).save(tmp_path)
    column = Profile.load(tmp_path).columns["x"]
    assert (column.rows, column.missing_share) == (1_980, pytest.approx(0.01))
    assert np.max(column.std) == pytest.approx(1, abs=0.05)


def test_a_profile_that_cannot_be_read_says_what_to_do(tmp_path) -> None:
    """Whoever changed it."""
    profiled(np.arange(9.0)).save(tmp_path)
    file = tmp_path / "profile.json"
    file.write_bytes(re.sub(rb'"std":[0-9.]+', b'"std":null', file.read_bytes()))
    with pytest.raises(ContractBroken, match=r"cannot be read: .*`float`.* → train the model anew"):
        Profile.load(tmp_path)


def test_a_package_brings_profile_and_sample_back(tmp_path) -> None:
    """What was saved is loaded: the same distributions under the same digest, and at most so many rows."""
    random = np.random.default_rng(0)
    table = pa.table({"n": random.normal(size=6_000), "k": random.choice(["a", "b"], 6_000), "b": [True, None] * 3_000})
    profile = build_profile(table, ["n", "k", "b"], np.where(random.random(6_000) < 0.5, np.nan, 0.3))
    profile.save(tmp_path)
    loaded = Profile.load(tmp_path)
    assert loaded.columns == profile.columns
    assert loaded.digest == profile.digest
    assert loaded.sample.equals(profile.sample)
    assert loaded.sample.num_rows == SAMPLE_ROWS
    assert loaded.sample.column_names == ["n", "k", "b", "score"]
    assert loaded.columns["score"].missing_share == 0.0


def test_columns_without_values_make_a_profile() -> None:
    """A feature that is null throughout does not stop training."""
    profile = build_profile(
        pa.table({"x": pa.nulls(5, pa.float64()), "y": pa.nulls(5, pa.string())}), ["x", "y"], np.ones(5)
    )
    assert profile.columns["x"].missing_share == profile.columns["y"].missing_share == 1.0


def test_what_cannot_be_profiled_is_refused(tmp_path) -> None:
    """A feature called as the monitor's own, a column of lists, and a package without a profile are named."""
    for name in ("score", JOINT, "answer.x"):
        with pytest.raises(ContractBroken, match=f"{re.escape(name)}'.*rename"):
            build_profile(pa.table({name: [1.0]}), [name], np.ones(1))
    with pytest.raises(ContractBroken, match="neither a number nor text"):
        build_profile(pa.table({"x": [[True]]}), ["x"], np.ones(1))
    with pytest.raises(NotFound, match="no drift profile"):
        Profile.load(tmp_path)
