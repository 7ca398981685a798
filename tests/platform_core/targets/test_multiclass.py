"""Classes: their metrics are scikit-learn's, intervals hold what is so, and every form of a fit is served."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from retail.models import cancellations
from sklearn import metrics as of

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics import Predictions
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.specs import AtLeast, Binary, Model, Multiclass, Search
from loopline.platform_core.training.packaging.package import package
from tests.platform_core.targets.kinds import count_drawn, draft

TARGET = Multiclass(("bag", "lamp", "toy", "vase"))
RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(400, 3))
Y = np.clip(np.digitize(X[:, 0] + 0.4 * RANDOM.normal(size=400), [-0.7, 0.0, 0.7]), 0, 3).astype(float)


def drawn(random: np.random.Generator, rows: int, sharp: float = 1.0) -> Predictions:
    """Draw chances and classes; a model that is ``sharp`` says more than is so."""
    chances = random.dirichlet([1.5, 1.0, 0.6, 0.6], rows)
    came = (chances.cumsum(axis=1)[:, :-1] < random.random(rows)[:, None]).sum(axis=1).astype(float)
    said = chances**sharp
    return TARGET.rows(came, said / said.sum(axis=1, keepdims=True))


def test_figures_are_scikit_learns() -> None:
    """The values, of a class that never came as well."""
    rows = drawn(np.random.default_rng(4), 500)
    few = rows.labels < 3
    for each in (rows, Predictions(rows.labels[few], rows.raw[few], rows.decided[few])):
        labels, decided = each.labels, each.decided
        predicted = np.unique([labels, decided])
        found = TARGET.values(each)
        assert found["log_loss"] == pytest.approx(of.log_loss(labels, each.raw, labels=range(4)))
        assert found["accuracy"] == pytest.approx(of.accuracy_score(labels, decided))
        recalls = of.recall_score(labels, decided, labels=np.unique(labels), average="macro", zero_division=0)
        assert found["balanced_accuracy"] == pytest.approx(recalls)
        f1 = of.f1_score(labels, decided, labels=predicted, average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(f1)
        top = of.top_k_accuracy_score(labels, each.raw, k=2, labels=range(4))
        assert found["top_k_accuracy"] == pytest.approx(top)


@pytest.mark.parametrize("sharp", [1.0, 1.6])
def test_intervals_hold_in_19_of_20(sharp: float) -> None:
    """Of all metrics, of a model that says what is so and of one that is too sure of itself."""
    count_drawn(TARGET, drawn, 300, sharp)


def test_a_calibration_error_is_that_of_the_model_not_of_its_rows() -> None:
    """A model that says what is so has next to none, of few rows too; one that is too sure has."""
    fair, sure = ([TARGET.values(drawn(np.random.default_rng(n), 300, sharp)) for n in range(30)] for sharp in (1, 2))
    assert np.mean([one["calibration_error"] for one in fair]) < 0.03
    assert np.mean([one["calibration_error"] for one in sure]) > 0.12


def test_classes_that_are_numbers_are_answered_as_such() -> None:
    """``label`` is INT64 then, and a class is its number, not its position."""
    target = Multiclass((10, 20))
    assert [output.datatype for output in target.outputs] == ["INT64", "FP64", "FP64"]
    assert target.answer([[0.2, 0.8], [0.5, 0.5]])["label"] == [20, 10]
    assert target.encoded(pa.chunked_array([[20.0, None, 10.0]])).tolist()[::2] == [1.0, 0.0]


def _trees(**more: Any) -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=8, n_jobs=1, verbose=-1, **more)


def _native(objective: str = "multiclass") -> Any:
    import lightgbm

    params = {"objective": objective, "num_class": 4, "verbose": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(X, Y), 8)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def test_every_form_answers_as_the_estimator_does(tmp_path) -> None:
    """LightGBM's text, ONNX, and pickle where a class was not learnt: neither form says whose columns it has."""
    seen = Y != 1
    fitted = {
        "lightgbm": (_trees().fit(X, Y), "lightgbm"),
        "native": (_native(), "lightgbm"),
        "onnx": (_logistic().fit(X, Y), "onnx"),
        "missing": (_trees().fit(X[seen], Y[seen]), "pickle"),
    }
    for name, (estimator, kind) in fitted.items():
        manifest = package(estimator, draft(TARGET), X, tmp_path / name)
        assert manifest.kind == kind, manifest.parity
        served = load_model(tmp_path / name).predict(X[:20])
        assert served == pytest.approx(TARGET.predictions(estimator, X[:20]), abs=1e-5)
        assert served.sum(axis=1) == pytest.approx(np.ones(20))
    assert load_model(tmp_path / "missing").predict(X)[:, 1].max() == 0
    two, flags = Multiclass(("cheap", "dear")), (Y > 1).astype(float)
    both = _trees().fit(X, flags)
    assert package(both, draft(two), X, tmp_path / "two").kind == "lightgbm", "one number says both"
    assert load_model(tmp_path / "two").predict(X[:9]) == pytest.approx(both.predict_proba(X[:9]))
    assert TARGET.values(TARGET.rows(Y, load_model(tmp_path / "native").predict(X)))["accuracy"] > 0.6


def test_estimators_of_other_kinds_are_refused_with_what_to_declare() -> None:
    """Both ways round, and one that was fitted on the classes' names."""
    import lightgbm

    names = _logistic().fit(X, np.array(TARGET.classes)[Y.astype(int)])
    regressor = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(X, Y)
    for estimator, fix in ((regressor, r"target=Regression\(\)"), (regressor.booster_, r"target=Regression\(\)")):
        with pytest.raises(InvalidSpec, match=fix):
            TARGET.predictions(estimator, X)
    with pytest.raises(InvalidSpec, match="fitted on 'y' as it is"):
        TARGET.predictions(names, X)
    for each_against_the_rest in (_native("multiclassova"), _trees(objective="multiclassova").fit(X, Y)):
        with pytest.raises(InvalidSpec, match="do not add up to 1"):
            TARGET.predictions(each_against_the_rest, X)
    with pytest.raises(InvalidSpec, match=r"target=Multiclass\("):
        Binary().predictions(_logistic().fit(X, Y), X)


def _model(**more: Any) -> Model:
    return Model("m", cancellations.features, cancellations.labels, cancellations.fit, **more)


def test_a_search_goes_by_what_its_kind_can_be_searched_by() -> None:
    """Accuracy of classes rests on no threshold; that of flags does."""
    assert _model(target=TARGET, search=Search(1, metric="accuracy")).searched == "accuracy"
    assert _model(target=TARGET).searched == "log_loss"
    with pytest.raises(InvalidSpec, match="search metric of a binary model"):
        _model(search=Search(1, metric="accuracy"))
    with pytest.raises(InvalidSpec, match="metric of a multiclass model 'recall'"):
        _model(target=TARGET, gates=(AtLeast("recall", 0.5),))
