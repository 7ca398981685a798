"""A registered model answers raw rows by itself, with what MLflow loads and nothing of Loopline."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.training.encode import matrix, vocabulary

KINDS = ["double", "string", "boolean", "double", "Array(double)"]


@pytest.mark.parametrize("kind", ["lightgbm", "onnx"])
def test_mlflows_function_takes_raw_rows(register, tmp_path, kind):
    """Texts as texts, nulls as nulls; what it answers is what the endpoint answers."""
    made = register(kind, tmp_path)
    loaded = mlflow.pyfunc.load_model(made.source)
    kinds = [getattr(each, "name", repr(each)) for each in loaded.metadata.signature.inputs.input_types()]
    assert (made.kind, kinds) == (kind, KINDS)
    frame = made.rows.to_pandas().astype({"market": object, "orders": float})
    assert loaded.predict(frame) == pytest.approx(made.scores, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("what", "kind", "shape"),
    [
        ("classes", "pickle", (-1, 4)),
        ("labels", "pickle", (-1, 3)),
        ("regression", "onnx", (-1,)),
        ("count", "onnx", (-1,)),
    ],
)
def test_other_kinds_answer_as_at_the_endpoint(register, tmp_path, what, kind, shape):
    """Classes of which one was not learnt, sets of them, numbers, and counts, which are never below 0."""
    made = register(what, tmp_path)
    loaded = mlflow.pyfunc.load_model(made.source)
    (output,) = loaded.metadata.signature.outputs.inputs
    assert (made.kind, output.shape) == (kind, shape)
    frame = made.rows.to_pandas().astype({"market": object, "orders": float}).dropna()
    found = loaded.predict(frame)
    assert found == pytest.approx(np.asarray(made.scores)[frame.index], abs=1e-6)
    assert (found.min() < 0) == (what == "regression")


def test_a_kind_that_the_copied_function_does_not_know_has_no_form_of_mlflows(register, tmp_path, kind_installed):
    """It would answer otherwise than the endpoint: the version says so, and Loopline serves it all the same."""
    made = register("upside down", tmp_path)
    assert made.source.endswith("package")
    assert "models of this kind return (upside_down)" in made.description


def test_a_category_that_nobody_has_seen_is_unknown(register, tmp_path):
    """As at the endpoint: not missing, and no error."""
    made = register("lightgbm", tmp_path)
    words = vocabulary(made.rows, ["market"])
    given = {"amount": 0.1, "market": "??", "known": True, "orders": 1.0, "taste": [0.1, 0.2, 0.3]}
    x = matrix({name: [value] for name, value in given.items()}, made.rows.column_names, words, {"taste": 3})
    asked = pd.DataFrame([given])
    expected = load_model(tmp_path / "package").predict(x)
    assert mlflow.pyfunc.load_model(made.source).predict(asked) == pytest.approx(expected)


def test_the_librarys_own_loader_goes_on_working(register, tmp_path):
    """Whoever asks MLflow for LightGBM's booster, or for scikit-learn's estimator, gets it, on encoded columns."""
    assert mlflow.lightgbm.load_model(register("lightgbm", tmp_path / "trees").source).num_feature() == 7
    linear = mlflow.sklearn.load_model(register("onnx", tmp_path / "linear").source)
    assert linear.predict_proba(np.zeros((1, 7))).shape == (1, 2)
