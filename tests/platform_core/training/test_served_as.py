"""What is told of the form in which a version is served."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.training.packaging.package import package
from loopline.platform_core.training.packaging.served_as import slow_form


class Doubtful(LogisticRegression):
    """An estimator whose answers no converter knows."""

    def predict_proba(self, x):
        """Answer with less doubt."""
        sure = super().predict_proba(x) ** 2
        return sure / sure.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("estimator", "told"),
    [(LogisticRegression(), None), (HistGradientBoostingClassifier(max_iter=10), None), (Doubtful(), "onnx:")],
)
def test_what_is_pickled_is_told_with_the_reason(tmp_path, estimator, told):
    """Of real packages: a form that answers otherwise is refused, and the words say which and why."""
    x = np.random.default_rng(0).normal(size=(300, 3))
    estimator.fit(x, x[:, 0] > 0)
    features = [FeatureField(name, "request", category=False) for name in "xyz"]
    draft = Manifest("a.b", "pickle", "", features, [], ["k"], {}, 0.5, "t", "c", Parity(0, 0.0, ""))
    manifest = package(estimator, draft, x, tmp_path / "package")
    fitted = {"version": "3", "package_kind": manifest.kind, "parity": {"why": manifest.parity.why}}
    said = slow_form(fitted)
    if told is None:
        assert (manifest.kind, said) == ("onnx", "")
    else:
        assert manifest.kind == "pickle"
        assert said.startswith("version 3 is served as a pickled estimator")
        assert f"({told} " in said
        assert " → " in said


def test_an_estimator_of_another_library_has_no_other_form():
    """Then that is the reason."""
    fitted = {"version": "1", "package_kind": "pickle", "parity": {"why": "pickle: answers as the estimator does"}}
    assert "only estimators of scikit-learn and LightGBM" in slow_form(fitted)
