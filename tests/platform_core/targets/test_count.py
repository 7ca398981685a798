"""Counts: deviances are scikit-learn's, intervals hold what is so, and what is below 0 counts as 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as of

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics import Predictions
from loopline.platform_core.runtime.model.manifest import FeatureField
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import Binary, Count, Examples, Regression, per_exposure, rates
from loopline.platform_core.training.packaging.package import package
from tests.platform_core.targets.kinds import count_drawn, draft

TARGET = Count(power=1.4, largest_error=30.0)
RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(300, 3))
Y = RANDOM.poisson(np.exp(0.8 * X[:, 0])).astype(float)


def drawn(random: np.random.Generator, rows: int) -> Predictions:
    """Draw counts of a mean from 0.1 to some ten, and a model that says half too much."""
    expected = random.gamma(1, 2, rows) + 0.1
    return TARGET.rows(random.poisson(expected).astype(float), 1.5 * expected)


def test_deviances_are_scikit_learns() -> None:
    """Of Poisson and of Tweedie's family."""
    rows = drawn(np.random.default_rng(3), 500)
    found = TARGET.values(rows)
    assert found["poisson_deviance"] == pytest.approx(of.mean_poisson_deviance(rows.labels, rows.raw))
    assert found["tweedie_deviance"] == pytest.approx(of.mean_tweedie_deviance(rows.labels, rows.raw, power=1.4))
    assert found["mae"] == pytest.approx(of.mean_absolute_error(rows.labels, rows.raw))
    assert found["bias"] > 0
    poisson = Count(power=1).values(rows)
    assert poisson["tweedie_deviance"] == pytest.approx(poisson["poisson_deviance"])


def test_nothing_expected_where_something_came_is_bad_and_has_an_end() -> None:
    """A deviance without an end would make every mean endless."""
    rows = TARGET.rows(np.array([0.0, 3.0, 0.0]), np.array([0.0, 0.0, 2.0]))
    found = TARGET.values(rows)
    assert 50 < found["poisson_deviance"] < 100
    assert np.isfinite(found["tweedie_deviance"])
    assert TARGET.values(Predictions(rows.labels[:1], rows.raw[:1], rows.raw[:1]))["tweedie_deviance"] == 0


def test_intervals_hold_in_19_of_20() -> None:
    """Of means of skewed rows."""
    count_drawn(TARGET, drawn, 200)


def _regressors() -> dict[str, tuple[Any, str]]:
    import lightgbm
    from sklearn.linear_model import LinearRegression, PoissonRegressor

    trees = {"n_estimators": 8, "n_jobs": 1, "verbose": -1}
    return {
        "poisson": (lightgbm.LGBMRegressor(objective="poisson", **trees).fit(X, Y), "lightgbm"),
        "squares": (LinearRegression().fit(X, Y), "onnx"),
        "shifted": (lightgbm.LGBMRegressor(**trees).fit(X, Y - 2), "lightgbm"),
        "generalised": (PoissonRegressor().fit(X, Y), "onnx"),
    }


@pytest.mark.parametrize("target", [TARGET, Regression()], ids=lambda target: target.kind)
def test_every_form_answers_as_the_estimator_does(target: Any, tmp_path) -> None:
    """As LightGBM's text and as ONNX; below 0 there is no count."""
    for name, (estimator, kind) in _regressors().items():
        manifest = package(estimator, draft(target), X, tmp_path / name)
        assert manifest.kind == kind, manifest.parity
        served = load_model(tmp_path / name).predict(X)
        assert served == pytest.approx(target.predictions(estimator, X), abs=1e-4)
        assert (served.min() < 0) == (name in {"squares", "shifted"} and target.kind == "regression")


@pytest.mark.parametrize("target", [TARGET, Regression()], ids=lambda target: target.kind)
def test_classifiers_are_refused_with_what_to_declare(target: Any) -> None:
    """The classifier, its bare booster, and trees that tell several classes apart."""
    import lightgbm

    trees = {"n_estimators": 2, "n_jobs": 1, "verbose": -1}
    flags = lightgbm.LGBMClassifier(**trees).fit(X, Y > 1)
    several = lightgbm.LGBMClassifier(**trees).fit(X, np.clip(Y, 0, 2))
    for estimator in (flags, flags.booster_, several.booster_):
        with pytest.raises(InvalidSpec, match=r"target=Multiclass\("):
            target.predictions(estimator, X)
    with pytest.raises(InvalidSpec, match=r"target=Regression\(\)"):
        Binary().predictions(lightgbm.LGBMRegressor(**trees).fit(X, Y), X)


def test_a_rate_counts_by_units_of_exposure(tmp_path) -> None:
    """Twice the nights, twice the count: in training, and as its package serves it."""
    from sklearn.linear_model import PoissonRegressor

    nights = RANDOM.integers(1, 9, 300).astype(float)
    nights[:3] = [0, np.nan, 0]
    y = RANDOM.poisson(np.nan_to_num(nights) * np.exp(0.5 * X[:, 0])).astype(float)
    train = Examples(np.column_stack([X[:, 0], nights]), y, ("size", "nights"), {})
    x, rate, weights = rates(train, "nights")
    assert (len(x), weights.min()) == (297, 1)
    fitted = per_exposure(_First(PoissonRegressor(alpha=0).fit(x[:, :1], rate, weights)), train, "nights")
    target = Count(exposure="nights")
    row = np.array([[0.4, 2.0], [0.4, 4.0], [0.4, 0.0], [0.4, np.nan]])
    told = target.predictions(fitted, row)
    assert told[1] == pytest.approx(2 * told[0])
    assert told[2:].tolist() == [0, 0]
    assert told[0] == pytest.approx(2 * np.exp(0.2), rel=0.1)
    fields = [FeatureField(name, "request") for name in ("size", "nights")]
    package(fitted, draft(target, *fields), train.x, tmp_path)
    assert np.allclose(load_model(tmp_path).predict(row), told)
    for declared, estimator in ((Count(), fitted), (target, fitted.rate)):
        with pytest.raises(InvalidSpec, match="scales by"):
            declared.predictions(estimator, row)
    with pytest.raises(InvalidSpec, match="no numeric feature"):
        per_exposure(fitted.rate, train, "days")


class _First:
    """An estimator that looks at the first column only."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def predict(self, x: Any) -> Any:
        """Predict rates."""
        return self.inner.predict(x[:, :1])
