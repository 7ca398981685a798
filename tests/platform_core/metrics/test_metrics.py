"""A metric is defined once: the same numbers in training, live and estimated, and named alike everywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as of

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.monitor.quality.figures import realised
from loopline.platform_core.specs import (
    AtLeast,
    AtMost,
    BeatsChampion,
    Binary,
    Evidence,
    FairAcross,
    Fairness,
    Quality,
    RealisedQuality,
)
from loopline.platform_core.specs import Model as Declared
from loopline.platform_core.specs.quality import watched_metrics
from loopline.platform_core.specs.search import Search
from loopline.platform_core.targets import known, metric
from loopline.platform_core.targets.binary import METRICS

TIMES = 1_000


def values(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Measure a binary target."""
    target = Binary(threshold)
    return target.values(target.rows(labels, scores))


@pytest.mark.parametrize("digits", [1, 8])
def test_values_are_scikit_learns(digits: int) -> None:
    """With ties and without, in whatever order the rows come; those of realised figures too."""
    random = np.random.default_rng(0)
    labels, scores = (random.random(800) < 0.1).astype(float), np.round(random.random(800), digits)
    flagged = scores >= 0.8
    found = values(labels, scores, 0.8)
    live = {f.metric: pytest.approx(f.value) for f in realised(Binary(0.8).rows(labels, scores), METRICS.values())}
    assert live == {name: value for name, value in found.items() if METRICS[name].needs_labels}
    assert found == {
        "roc_auc": pytest.approx(of.roc_auc_score(labels, scores)),
        "average_precision": pytest.approx(of.average_precision_score(labels, scores)),
        "log_loss": pytest.approx(of.log_loss(labels, scores)),
        "brier": pytest.approx(of.brier_score_loss(labels, scores)),
        "recall": pytest.approx(of.recall_score(labels, flagged)),
        "precision": pytest.approx(of.precision_score(labels, flagged)),
        "f1": pytest.approx(of.f1_score(labels, flagged)),
        "accuracy": pytest.approx(of.accuracy_score(labels, flagged)),
        "false_positive_rate": pytest.approx(float(np.mean(flagged[labels == 0]))),
        "positive_rate": pytest.approx(float(np.mean(flagged))),
        "positives": pytest.approx(float(np.mean(labels))),
    }


def test_a_metric_without_its_rows_is_left_out() -> None:
    """While all labels are alike there is nothing to rank; without rows there is nothing at all."""
    alike = values(np.ones(3), np.array([0.1, 0.2, 0.3]), 0.5)
    assert "roc_auc" not in alike
    assert "false_positive_rate" not in alike
    assert alike["recall"] == 0.0
    assert values(np.empty(0), np.empty(0), 0.5) == {}


@pytest.mark.parametrize("name", ["f1", "average_precision"])
def test_nineteen_of_twenty_intervals_hold_the_truth(name: str) -> None:
    """Of 400 rows, one in five positive, a thousand times."""
    random, one = np.random.default_rng(3), METRICS[name]

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (random.random(rows) < 0.2).astype(float)
        return labels, 1 / (1 + np.exp(-random.normal(labels * 1.5 - 1)))

    truth = one.value(Binary().rows(*draw(1_000_000)))
    found = [one.interval(Binary().rows(*draw(400))) for _ in range(TIMES)]
    assert 0.92 <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= 0.98


def test_the_edges_of_average_precision() -> None:
    """All positives on top are no certainty, and one positive tells nothing of a spread."""
    labels = np.array([0.0] * 30 + [1.0] * 10)
    best = METRICS["average_precision"].interval(Binary().rows(labels, labels))
    assert (best.value, best.high) == (1.0, 1.0)
    assert 0.6 < best.low < 0.8
    assert METRICS["average_precision"].interval(Binary().rows(labels[:31], labels[:31])) is None


@pytest.mark.parametrize(
    "declare",
    [
        lambda: AtLeast("rocauc", 0.6),
        lambda: AtMost("rocauc", 0.6),
        lambda: BeatsChampion("rocauc"),
        lambda: FairAcross("rocauc", "country"),
        lambda: Quality(metrics=("rocauc",)),
        lambda: Search(1, metric="rocauc"),
        lambda: RealisedQuality(0.02, metric="rocauc"),
    ],
)
def test_a_misspelt_metric_is_refused_where_it_is_declared(declare) -> None:
    """It was found out when a gate was judged, after the training."""
    with pytest.raises(InvalidSpec, match=r"'rocauc' → write 'roc_auc'"):
        declare()


def test_a_metric_in_the_wrong_place_is_refused() -> None:
    """A bound on the wrong side lets through what is bad; a share of rows is neither better nor worse."""
    with pytest.raises(InvalidSpec, match=r"of which less is better → write AtMost\('log_loss', 0.4\)"):
        AtLeast("log_loss", 0.4)
    with pytest.raises(InvalidSpec, match=r"write AtLeast\('recall', 0.4\)"):
        AtMost("recall", 0.4)
    with pytest.raises(InvalidSpec, match="neither more nor less of 'positives' is better"):
        BeatsChampion("positives")
    with pytest.raises(InvalidSpec, match="no group metric 'roc_auc'"):
        Fairness("country", "roc_auc")
    assert AtLeast("rows", 100).judge(Evidence({"rows": 99.0})).passed is False


def test_of_a_loss_less_beats_the_champion() -> None:
    """The gate asked for more of every metric: it let the worse of two through."""
    gate = BeatsChampion("log_loss", tolerance=0.01)
    told = [gate.judge(Evidence({"log_loss": mine}, {"log_loss": 0.4})).passed for mine in (0.39, 0.405, 0.42)]
    assert told == [True, True, False]
    assert AtMost("brier", 0.2).judge(Evidence({"brier": 0.1})).passed


def test_what_a_gate_asks_is_followed_live() -> None:
    """Beside what always is."""
    model = Declared("m", (), None, None, gates=(AtLeast("f1", 0.3),))  # type: ignore[arg-type]
    names = [one.name for one in watched_metrics(model)]
    assert "f1" in names
    assert "average_precision" not in names
    more = replace(model, quality=Quality(metrics=("average_precision",)))
    assert "average_precision" in [one.name for one in watched_metrics(more)]


def test_metrics_are_named_by_their_own_names() -> None:
    """In every kind, and some of each are followed live and searched by."""
    for kind in known():
        target = kind()
        assert all(one.name == name for name, one in target.metrics.items())
        assert target.metrics[target.searched].is_searched
        assert {*target.of_segments, *target.of_life} <= {*target.metrics}
        assert any(one.followed for one in target.metrics.values())
    assert metric("roc_auc") is METRICS["roc_auc"]
