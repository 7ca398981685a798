"""Lists of classes: metrics are scikit-learn's, intervals hold what is so, every kind of estimator is asked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as of

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.metrics import Predictions
from loopline.platform_core.specs import Multilabel
from tests.platform_core.targets.kinds import count_drawn

TARGET = Multilabel(("bag", "lamp", "toy", "vase"), threshold=0.4)
RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(300, 3))
Y = (np.column_stack([X, -X[:, 0]]) + 0.5 * RANDOM.normal(size=(300, 4)) > 0.5).astype(float)


def drawn(random: np.random.Generator, rows: int) -> Predictions:
    """Draw chances and which classes hold, of which two hang together."""
    logits = random.normal(size=(rows, 4)) + np.array([-2.0, -1.0, 0.0, 0.5])
    logits[:, 1] = logits[:, 0]
    chances = 1 / (1 + np.exp(-logits))
    return TARGET.rows((random.random((rows, 4)) < chances).astype(float), chances)


def test_figures_are_scikit_learns() -> None:
    """The values, with rows of which nothing holds."""
    rows = drawn(np.random.default_rng(4), 400)
    labels, said, found = rows.labels, rows.raw >= 0.4, TARGET.values(rows)
    each = [of.log_loss(labels[:, one], rows.raw[:, one]) for one in range(4)]
    assert found["log_loss"] == pytest.approx(np.mean(each))
    assert found["micro_f1"] == pytest.approx(of.f1_score(labels, said, average="micro"))
    assert found["macro_f1"] == pytest.approx(of.f1_score(labels, said, average="macro"))
    assert found["subset_accuracy"] == pytest.approx(of.accuracy_score(labels, said))
    jaccard = of.jaccard_score(labels, said, average="samples", zero_division=1.0)
    assert found["jaccard"] == pytest.approx(jaccard)
    ranking = of.label_ranking_average_precision_score(labels, rows.raw)
    assert found["label_ranking"] == pytest.approx(ranking)


def test_intervals_hold_in_19_of_20() -> None:
    """Of all metrics, of 250 rows."""
    count_drawn(TARGET, drawn, 250, times=80)


def test_labels_are_lists_of_declared_classes() -> None:
    """An empty list says that none holds, null that nobody knows."""
    column = pa.chunked_array([[["vase"], ["toy", "bag"]], [None, [], ["lamp", "lamp"]]]).slice(1)
    assert TARGET.trouble(column) == ""
    nan = [np.nan] * 4
    wanted = [[1, 0, 1, 0], nan, [0, 0, 0, 0], [0, 1, 0, 0]]
    assert np.array_equal(TARGET.encoded(column), np.array(wanted, dtype=float), equal_nan=True)
    numbers = Multilabel((10, 20))
    assert numbers.encoded(pa.chunked_array([[[20.0], [10.0, 20.0]]])).tolist() == [[0, 1], [1, 1]]
    assert TARGET.described(TARGET.encoded(column)) == {
        "classes": 3, "classes a row": 1.0, "class bag": 1, "class lamp": 1, "class toy": 1,
    }  # fmt: skip


def test_every_kind_of_estimator_is_asked() -> None:
    """An array of all classes, a list of two columns for each, and one column where a class never came."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.neighbors import KNeighborsClassifier

    never = Y * [1, 1, 1, 0]
    together, apart = OneVsRestClassifier(LogisticRegression()).fit(X, Y), KNeighborsClassifier(9).fit(X, never)
    assert TARGET.predictions(together, X).shape == (300, 4)
    assert TARGET.values(TARGET.rows(Y, TARGET.predictions(together, X)))["macro_f1"] > 0.7
    found = TARGET.predictions(apart, X)
    assert found[:, 3].max() == 0
    assert np.array_equal(found[:, 0], apart.predict_proba(X)[0][:, 1])
    exactly_one = KNeighborsClassifier(5).fit(X, np.eye(4)[np.digitize(X[:, 0], [-0.7, 0.0, 0.7])])
    assert TARGET.predictions(exactly_one, X).sum(axis=1) == pytest.approx(np.ones(300)), "which is no other kind"
    assert TARGET.predictions(together, X[:1]) == pytest.approx(TARGET.predictions(together, X)[:1])


def test_estimators_of_other_kinds_are_refused_with_what_to_declare() -> None:
    """One class of several, numbers, and another number of classes."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    one = LogisticRegression().fit(X, np.digitize(X[:, 0], [-0.7, 0.0, 0.7]))
    with pytest.raises(InvalidSpec, match=r"tells one class of several.*target=Multiclass\("):
        TARGET.predictions(one, X)
    with pytest.raises(InvalidSpec, match=r"no chances.*target=Regression\("):
        TARGET.predictions(LinearRegression().fit(X, Y * 3), X)
    with pytest.raises(InvalidSpec, match=r"shape \(300, 2\)"):
        TARGET.predictions(KNeighborsClassifier().fit(X, Y[:, :2]), X)
