"""Realised quality: a worse candidate is found when its labels come, one as good seldom, whatever the metric."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.platform_core.specs import Finding, RealisedQuality, Traffic
from loopline.platform_core.specs.quality_judge import METRICS


def side(random: np.random.Generator, rows: int, signal: float = 2.0, share: float = 0.2) -> Traffic:
    """Make a version's labels and scores; scores are calibrated for a signal of 2, and less signal misranks more."""
    labels = (random.random(rows) < share).astype(float)
    logits = signal * (labels - 0.5) + random.normal(size=rows) - 1
    return Traffic(rows, 0, np.empty(0), np.empty(0), labels, 1 / (1 + np.exp(-logits)))


def found(judge: RealisedQuality, signal: float, rows: int = 3_000, seed: int = 0) -> Finding:
    """Judge a candidate of some signal beside a stable version of 2."""
    random = np.random.default_rng(seed)
    return judge.find(side(random, rows, signal), side(random, 4 * rows))


@pytest.mark.parametrize(("metric", "drop"), [("roc_auc", 0.05), ("log_loss", 0.1), ("brier", 0.03)])
def test_a_worse_candidate_is_found_and_an_equal_one_is_not(metric, drop):
    """A candidate whose scores hardly know the label does harm by each metric; one as good as the other by none."""
    judge = RealisedQuality(drop, metric=metric)
    assert found(judge, 0.2).harm
    equal = found(judge, 2.0)
    assert (equal.harm, equal.in_doubt) == (False, False)


def test_the_figure_is_the_drop_of_the_metric():
    """For the area under the curve as scikit-learn has it, but for what pairing costs."""
    from sklearn.metrics import log_loss, roc_auc_score

    random = np.random.default_rng(1)
    candidate, stable = side(random, 20_000, 1.0), side(random, 20_000)
    sides = (stable, candidate)
    drop = RealisedQuality(0.05).find(candidate, stable).value
    areas = [roc_auc_score(one.labels, one.labelled_scores) for one in sides]
    assert drop == pytest.approx(areas[0] - areas[1], abs=0.01)
    rise = RealisedQuality(0.05, metric="log_loss").find(candidate, stable).value
    losses = [log_loss(one.labels, one.labelled_scores) for one in sides]
    assert rise == pytest.approx(losses[1] - losses[0], abs=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pairs_of_the_first_rows_stay_when_more_come(share):
    """A look never changes what an earlier one saw, whichever class is the rarer; else alpha would not hold."""
    everything = side(np.random.default_rng(2), 1_000, share=share)
    whole = METRICS["roc_auc"](everything.labels, everything.labelled_scores).values
    for rows in (150, 400, 999):
        part = METRICS["roc_auc"](everything.labels[:rows], everything.labelled_scores[:rows]).values
        assert part.tolist() == whole[: len(part)].tolist()
        assert len(part) >= 10


def test_too_few_labels_of_one_side_are_no_finding():
    """However bad they look; and so are labels of one class, which cannot be ranked."""
    random = np.random.default_rng(3)
    few = RealisedQuality(0.01).find(side(random, 99, 0.0), side(random, 5_000))
    assert (few.value, few.harm, few.detail) == (None, False, "99 labels of one of both")
    alike = Traffic(200, 0, np.empty(0), np.empty(0), np.zeros(200), random.random(200))
    assert RealisedQuality(0.01).find(alike, side(random, 500)).value is None


def test_a_sure_mistake_costs_a_bounded_loss():
    """One row that was quite sure and quite wrong counts as a loss of ln 1000, the most there is."""
    losses = METRICS["log_loss"](np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    assert (losses.values * losses.unit).tolist() == pytest.approx([np.log(1_000), 0.001], abs=1e-6)
