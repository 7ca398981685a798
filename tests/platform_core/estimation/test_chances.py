"""Quality before labels come: right where scores mean what they meant, and wrong where that has changed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from loopline.platform_core.estimation import calibration
from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.estimation.held_out import NONE, HeldOut, load
from loopline.platform_core.metrics import Figure, Ranked
from loopline.platform_core.monitor.quality.figures import realised
from loopline.platform_core.targets.binary import METRICS, Binary

TARGET, CHANCES = Binary(0.5), Binary.estimation
EVERY = METRICS.values()
LABELLED = [metric for metric in METRICS.values() if metric.needs_labels]


def world(random: np.random.Generator, rows: int, moved: float = 0.0, slope: float = 1.2) -> tuple[np.ndarray, ...]:
    """Draw one feature and its label; ``moved`` shifts the feature, ``slope`` is what the feature means."""
    feature = random.normal(moved, 1, rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-(slope * feature - 1.5)))).astype(float)
    return feature, labels


def model(feature: np.ndarray) -> np.ndarray:
    """Score a feature; far too sure of itself."""
    return 1 / (1 + np.exp(-(2.5 * feature - 1.0)))


def guess(random: np.random.Generator, scores: np.ndarray, held_out: int = 800) -> dict[str, Figure]:
    """Estimate by rows held out at training."""
    feature, labels = world(random, held_out)
    return {f.metric: f for f in calibration.fit(labels, model(feature)).estimated(TARGET, scores, EVERY)}


def kept(scores: np.ndarray, truth: np.ndarray) -> HeldOut:
    """Return what a package keeps of held-out rows."""
    return CHANCES.held_out(TARGET, scores, truth)


def evidence_of(held: HeldOut, scores: np.ndarray, labels: np.ndarray) -> Evidence:
    """Put answered rows, one a microsecond, beside those held out."""
    return Evidence(CHANCES, TARGET, held, np.arange(len(scores)), scores, labels)


def real(labels: np.ndarray, scores: np.ndarray) -> dict[str, Figure]:
    """Measure with labels."""
    return {f.metric: f for f in realised(TARGET.rows(labels, scores), EVERY)}


def test_a_shift_of_the_features_is_followed() -> None:
    """Where the features move the estimates move as the realised figures do."""
    random, recalls = np.random.default_rng(1), list[float]()
    for moved in (-1.0, 0.0, 1.5):
        feature, labels = world(random, 20_000, moved)
        guessed, measured = guess(random, model(feature), 10_000), real(labels, model(feature))
        assert set(guessed) == {metric.name for metric in LABELLED}
        for name, figure in measured.items():
            assert guessed[name].value == pytest.approx(figure.value, abs=0.03, rel=0.06), (moved, name)
        recalls.append(measured["recall"].value)
    assert max(recalls) - min(recalls) > 0.5, "there was something to follow"


def test_nineteen_of_twenty_intervals_hold_what_is_realised() -> None:
    """With 800 rows held out and 600 in a window that has moved, over 400 windows."""
    random, held = np.random.default_rng(2), dict.fromkeys([metric.name for metric in LABELLED], 0)
    for _ in range(400):
        feature, labels = world(random, 600, 0.4)
        guessed, measured = guess(random, model(feature)), real(labels, model(feature))
        for name, figure in measured.items():
            held[name] += guessed[name].low <= figure.value <= guessed[name].high
    assert {name: count / 400 for name, count in held.items() if not 0.91 <= count / 400 <= 0.985} == {}


def test_a_change_of_meaning_is_not_seen() -> None:
    """Concept drift: the same features say less than before, the scores are the same, and so is the estimate."""
    random = np.random.default_rng(3)
    feature, labels = world(random, 5_000, slope=0.2)
    guessed, measured = guess(random, model(feature))["roc_auc"], real(labels, model(feature))["roc_auc"]
    assert guessed.value > 0.7
    assert measured.value < 0.6
    assert measured.value < guessed.low, "the interval holds only while scores mean what they meant"


def test_labels_that_come_mend_it() -> None:
    """The newest labelled answers take the place of rows held out; those after an instant are not known yet."""
    random = np.random.default_rng(4)
    held, truth = world(random, 2_000)
    feature, labels = world(random, 2_000, slope=0.2)
    evidence = evidence_of(kept(model(held), truth), model(feature), labels)
    fresh, same = world(random, 5_000, slope=0.2)
    measured = real(same, model(fresh))["roc_auc"].value
    before, after = evidence.by(-1), evidence.by(1_999)
    errors = [abs(next(meaning.estimated(TARGET, model(fresh), EVERY)).value - measured) for meaning in (before, after)]
    assert errors[0] > 0.1
    assert errors[1] < 0.03


def test_all_labels_that_agree_are_learnt_from() -> None:
    """Of 40,000 labels 2,000 were looked at: the estimate was four times as wide as it need be."""
    random = np.random.default_rng(9)
    held, truth = world(random, 10_000)
    feature, labels = world(random, 40_000)
    evidence = evidence_of(kept(model(held), truth), model(feature), labels)
    meaning = evidence.by(40_000)
    assert meaning.rows == 50_000
    fresh, same = world(random, 40_000)
    (area,) = (figure for figure in meaning.estimated(TARGET, model(fresh), EVERY) if figure.metric == "roc_auc")
    assert area.high - area.low < 2 * 0.007
    assert area.low < real(same, model(fresh))["roc_auc"].value < area.high


def test_what_meant_something_else_is_left_behind() -> None:
    """Of 30,000 old labels and 5,000 new ones the line is that of the new ones."""
    random = np.random.default_rng(10)
    old, new = world(random, 30_000), world(random, 5_000, slope=0.2)
    feature, labels = (np.concatenate(pair) for pair in zip(old, new, strict=True))
    meaning = evidence_of(NONE, model(feature), labels).by(35_000)
    assert meaning.rows < 6_000
    assert meaning.slope == pytest.approx(0.2 / 2.5, abs=0.04)


def test_few_rows_or_one_kind_of_label_give_no_meaning() -> None:
    """Then nothing is estimated."""
    nothing = np.empty(0)
    assert evidence_of(NONE, nothing, nothing).by(0) is None
    alike = HeldOut([0.1] * 200, [0.0] * 200)
    assert evidence_of(alike, nothing, nothing).by(0) is None


def test_labels_are_chances_that_are_sure() -> None:
    """Given labels for chances, the expected metrics are the metrics; ties count half."""
    random = np.random.default_rng(5)
    scores = np.sort(np.round(random.random(500), 1))
    labels = (random.random(500) < 0.3).astype(float)
    found = {of.name: float(of.weighed(labels[None], Ranked.of(scores, scores >= 0.35))[0]) for of in LABELLED}
    assert found["roc_auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert found["f1"] == pytest.approx(f1_score(labels, scores >= 0.35))
    assert found == {f.metric: pytest.approx(f.value) for f in realised(Binary(0.35).rows(labels, scores), EVERY)}


def test_calibration_is_logistic_regression_on_the_logit() -> None:
    """The same line as scikit-learn's without a penalty, and a covariance that shrinks with rows."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(6)
    feature, labels = world(random, 3_000)
    found = calibration.fit(labels, model(feature))
    other = LogisticRegression(C=np.inf).fit(calibration.logit(model(feature))[:, None], labels)
    assert found.slope == pytest.approx(float(other.coef_[0, 0]), rel=1e-3)
    assert found.intercept == pytest.approx(float(other.intercept_[0]), rel=1e-3)
    few = calibration.fit(labels[:300], model(feature[:300]))
    assert few.covariance[2] > 5 * found.covariance[2]


def test_a_fit_that_would_overshoot_is_halved() -> None:
    """Scores that are sure of the opposite: Newton's full steps would run away."""
    random = np.random.default_rng(8)
    scores = np.where(random.random(500) < 0.5, 1e-6, 1 - 1e-6)
    labels = (random.random(500) < np.where(scores < 0.5, 0.9, 0.1)).astype(float)
    found = calibration.fit(labels, scores)
    assert found(np.array([1e-6, 1 - 1e-6])) == pytest.approx([0.9, 0.1], abs=0.05)


def test_held_out_rows_travel_in_the_package(tmp_path) -> None:
    """The newest 2,000; a package of before has none."""
    assert load(tmp_path, CHANCES.file) == NONE
    held = kept(np.linspace(0, 1, 5_000), np.tile([0.0, 1.0], 2_500))
    held.save(tmp_path, CHANCES.file)
    assert load(tmp_path, "calibration.json") == held
    assert len(held.scores) == 2_000
    assert held.scores[-1] == 1.0
    assert len(msgspec.json.encode(held)) < 50_000
