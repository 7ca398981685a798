"""A package answers as the library that fitted it would."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.runtime.model.models import load_model

FEATURES = 3
RNG = np.random.default_rng(7)
X = RNG.normal(size=(200, FEATURES))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(float)


def package(folder: Path, kind: str, file: str, features: int = FEATURES) -> Path:
    """Write a manifest beside an artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = [FeatureField(f"f{i}", "request") for i in range(features)]
    Manifest("t.m", kind, file, fields, [], ["id"], {}, 0.5, "set", "cycle", Parity(0, 0.0, "")).save(folder)
    return folder


@pytest.fixture(scope="module")
def booster():
    """Fit a small LightGBM model."""
    import lightgbm

    data = lightgbm.Dataset(X, Y)
    return lightgbm.train({"objective": "binary", "num_threads": 1, "verbose": -1}, data, num_boost_round=5)


@pytest.fixture(scope="module")
def regression():
    """Fit a logistic regression on float32 values, which ONNX sees too."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


def test_a_booster_answers_as_lightgbm_does(tmp_path, booster):
    """One row and many rows, missing values included, are LightGBM's own to the last bit."""
    booster.save_model(tmp_path / "model.txt")
    model = load_model(package(tmp_path, "lightgbm", "model.txt"))
    rows = X.copy()
    rows[3, 1] = np.nan
    assert np.array_equal(model.predict(rows), booster.predict(rows, num_threads=1))
    expected = booster.predict(rows, num_threads=1)
    for number in (1, 2, 16, 17):
        assert np.array_equal(model.predict(rows[:number]), expected[:number])
    assert [model.predict(row.reshape(1, -1))[0] for row in rows[:5]] == expected[:5].tolist()


def test_a_booster_takes_any_layout(tmp_path, booster):
    """A transposed or sliced matrix gives the same scores."""
    booster.save_model(tmp_path / "model.txt")
    model = load_model(package(tmp_path, "lightgbm", "model.txt"))
    expected = booster.predict(X, num_threads=1)
    assert np.array_equal(model.predict(np.asfortranarray(X)), expected)
    assert np.array_equal(model.predict(X[::2]), expected[::2])


def test_an_onnx_model_gives_the_second_probability(tmp_path, regression):
    """The converted model agrees with scikit-learn within float32."""
    from skl2onnx import to_onnx

    converted = to_onnx(regression, X[:1].astype(np.float32), options={"zipmap": False})
    tmp_path.joinpath("model.onnx").write_bytes(converted.SerializeToString())
    model = load_model(package(tmp_path, "onnx", "model.onnx"))
    assert np.allclose(model.predict(X), regression.predict_proba(X)[:, 1], atol=1e-6)


def test_a_pickled_estimator_gives_the_second_probability(tmp_path, regression):
    """What cannot be converted is served as it is."""
    tmp_path.joinpath("model.pkl").write_bytes(pickle.dumps(regression))
    model = load_model(package(tmp_path, "pickle", "model.pkl"))
    assert np.array_equal(model.predict(X), regression.predict_proba(X)[:, 1])


def test_no_package(tmp_path):
    """A folder without manifest is not found."""
    with pytest.raises(NotFound, match=r"holds no manifest\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("kind", ["lightgbm", "onnx", "pickle"])
def test_a_torn_artefact_is_refused(tmp_path, kind):
    """Whatever the library raises becomes one error with a fix."""
    tmp_path.joinpath("model").write_bytes(b"torn")
    with pytest.raises(ContractBroken):
        load_model(package(tmp_path, kind, "model"))


def test_a_torn_manifest_is_refused(tmp_path):
    """A manifest that is no manifest names its file."""
    tmp_path.joinpath("manifest.json").write_text('{"model": 3}')
    with pytest.raises(ContractBroken, match=r"manifest\.json"):
        load_model(tmp_path)


def test_a_booster_of_other_features_is_refused(tmp_path, booster):
    """A manifest with another number of features than the booster's is found at loading."""
    booster.save_model(tmp_path / "model.txt")
    with pytest.raises(ContractBroken, match="another number of features"):
        load_model(package(tmp_path, "lightgbm", "model.txt", features=4))


def test_serving_a_booster_needs_no_heavy_library(tmp_path, booster):
    """A fresh interpreter that loads a booster has imported neither LightGBM's package nor pandas nor scikit-learn."""
    booster.save_model(tmp_path / "model.txt")
    package(tmp_path, "lightgbm", "model.txt")
    code = (
        "import sys, pathlib; from loopline.platform_core.runtime.model.models import load_model;"
        f"load_model(pathlib.Path({str(tmp_path)!r}));"
        "print({'lightgbm', 'pandas', 'sklearn', 'scipy', 'pyarrow', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
