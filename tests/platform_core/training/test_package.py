"""The served form of an estimator: the fastest one that answers as the estimator does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, InvalidSpec
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.targets import Binary
from loopline.platform_core.training.packaging.package import PARITY_ROWS, package

X = np.random.default_rng(0).random((3000, 3))
X[::17, 1] = np.nan
Y = (X[:, 0] + np.nan_to_num(X[:, 1]) > 0.9).astype(np.float64)
DRAFT = Manifest(
    model="t.m",
    kind="pickle",
    file="",
    features=[FeatureField(name, "request") for name in "abc"],
    views=[],
    entities=["a"],
    vocabulary={},
    threshold=0.5,
    training_set="ts",
    cycle="c",
    parity=Parity(0, 0.0, ""),
)


def _boosted(**more: Any) -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1, **more).fit(X, Y)


def test_boosted_trees_become_text(tmp_path: Path) -> None:
    """LightGBM's classifier is served as its booster, and the manifest says how both were compared."""
    trees = _boosted()
    manifest = package(trees, DRAFT, X, tmp_path)
    assert (manifest.kind, manifest.file) == ("lightgbm", "model.txt")
    assert manifests.load(tmp_path) == manifest
    assert 1000 < manifest.parity.rows <= PARITY_ROWS
    assert manifest.parity.max_difference < 1e-5
    np.testing.assert_allclose(load_model(tmp_path).predict(X), trees.predict_proba(X)[:, 1], atol=1e-9)


def test_early_stopped_trees_and_bare_boosters(tmp_path: Path) -> None:
    """What early stopping left out is not served; a booster without the classifier around it is."""
    import lightgbm

    stopped = lightgbm.LGBMClassifier(n_estimators=200, n_jobs=1, verbose=-1)
    stop = lightgbm.early_stopping(3, verbose=False)
    stopped.fit(X[:2000], Y[:2000], eval_X=X[2000:], eval_y=Y[2000:], callbacks=[stop])
    assert stopped.best_iteration_ < 200
    for name, estimator in (("stopped", stopped), ("bare", stopped.booster_)):
        assert package(estimator, DRAFT, X, tmp_path / name).kind == "lightgbm"
        np.testing.assert_allclose(load_model(tmp_path / name).predict(X), Binary().predictions(stopped, X), atol=1e-9)


def test_scikit_learn_becomes_onnx(tmp_path: Path) -> None:
    """A pipeline with imputation runs in ONNX Runtime and answers the same."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, Y)
    manifest = package(pipeline, DRAFT, X, tmp_path)
    assert (manifest.kind, manifest.file) == ("onnx", "model.onnx")
    np.testing.assert_allclose(load_model(tmp_path).predict(X), pipeline.predict_proba(X)[:, 1], atol=1e-5)


def test_what_float32_would_change_stays_pickled(tmp_path: Path) -> None:
    """A steep function of a large number answers otherwise in float32; the parity check keeps ONNX out."""
    from sklearn.linear_model import LogisticRegression

    near = 1000 + (X[:, :1] - 0.5) / 500
    steep = LogisticRegression().fit(X[:, :1], Y)
    steep.coef_, steep.intercept_ = np.array([[1e4]]), np.array([-1e7])
    manifest = package(steep, msgspec.structs.replace(DRAFT, features=DRAFT.features[:1]), near, tmp_path)
    assert manifest.kind == "pickle"
    assert "onnx: differs by" in manifest.parity.why
    assert not (tmp_path / "model.onnx").exists()
    np.testing.assert_array_equal(load_model(tmp_path).predict(near), steep.predict_proba(near)[:, 1])


class Odd:
    """An estimator of no library."""

    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first column as the probability."""
        return np.column_stack([1 - x[:, 0], x[:, 0]])


def test_any_estimator_is_pickled(tmp_path: Path) -> None:
    """A class of the team's own is served as it is."""
    manifest = package(Odd(), DRAFT, X, tmp_path)
    assert manifest.kind == "pickle"
    np.testing.assert_array_equal(load_model(tmp_path).predict(X), X[:, 0])


def test_a_local_class_cannot_be_served(tmp_path: Path) -> None:
    """The server could not import it; the error says what to do."""

    class Local(Odd):
        pass

    with pytest.raises(ContractBroken, match="module's top level"):
        package(Local(), DRAFT, X, tmp_path)


def test_a_package_of_trees_loads_without_its_trainers(tmp_path: Path) -> None:
    """The server needs neither scikit-learn, pandas nor mlflow for what is packaged as text."""
    package(_boosted(), DRAFT, X, tmp_path)
    code = (
        "import sys, pathlib, loopline.platform_core.runtime.model.models as m;"
        f"m.load_model(pathlib.Path({str(tmp_path)!r}));"
        "sys.exit(bool({'sklearn', 'pandas', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _regressors() -> list[Any]:
    import lightgbm
    from sklearn.linear_model import LinearRegression

    trees = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1).fit(X, Y)
    return [trees, trees.booster_, LinearRegression().fit(np.nan_to_num(X), Y)]


@pytest.mark.parametrize("place", range(3))
def test_a_regressor_is_refused_by_name(place: int) -> None:
    """Its answers were taken for probabilities where they lay between 0 and 1, and nothing was said."""
    estimator = _regressors()[place]
    with pytest.raises(InvalidSpec, match=f"'fit' returned a {type(estimator).__name__}, which is a regressor"):
        Binary().predictions(estimator, np.nan_to_num(X))


def test_what_gives_no_probabilities_of_two_labels_is_refused() -> None:
    """One of three labels, and one of a team's own whose answers are beyond 1."""
    from sklearn.linear_model import LogisticRegression

    three = LogisticRegression().fit(np.nan_to_num(X), np.arange(len(X)) % 3)
    with pytest.raises(InvalidSpec, match=r"LogisticRegression, which gives probabilities of shape \(3000, 3\)"):
        Binary().predictions(three, np.nan_to_num(X))

    class Sums:
        """Predicts sums."""

        def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
            """Add up."""
            return x.sum(axis=1)

    with pytest.raises(InvalidSpec, match="a Sums, which has no predict_proba"):
        Binary().predictions(Sums(), np.nan_to_num(X))
