"""Realised quality: a worse candidate is found when its labels come, one as good seldom, whatever the metric."""

from __future__ import annotations

import numpy as np
import pytest

from loopline.platform_core.metrics import Losses
from loopline.platform_core.specs import Finding, RealisedQuality, Traffic
from loopline.platform_core.targets import Binary, Regression
from loopline.platform_core.targets.binary import METRICS


def side(random: np.random.Generator, rows: int, signal: float = 2.0, share: float = 0.2) -> Traffic:
    """Make a version's labels and scores; scores are calibrated for a signal of 2, and less signal misranks more."""
    labels = (random.random(rows) < share).astype(float)
    logits = signal * (labels - 0.5) + random.normal(size=rows) - 1
    return Traffic(rows, 0, np.empty(0), np.empty(0), labels, 1 / (1 + np.exp(-logits)))


def losses(metric: str, labels: np.ndarray, scores: np.ndarray) -> Losses:
    """Return what each row lost."""
    return METRICS[metric].losses(Binary().rows(labels, scores))


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
    whole = losses("roc_auc", everything.labels, everything.labelled_scores).values
    for rows in (150, 400, 999):
        part = losses("roc_auc", everything.labels[:rows], everything.labelled_scores[:rows]).values
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
    lost = losses("log_loss", np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    assert (lost.values * lost.unit).tolist() == pytest.approx([np.log(1_000), 0.001], abs=1e-6)


def numbers(random: np.random.Generator, rows: int, off: float, target: Regression) -> Traffic:
    """Make a version's labels, of a few hundred pounds, and predictions that miss them by so many."""
    labels = random.gamma(2, 200, rows)
    return Traffic(rows, 0, np.empty(0), np.empty(0), labels, labels + random.normal(0, off, rows), target=target)


def test_errors_of_numbers_are_compared_up_to_the_largest_that_counts():
    """A candidate that misses by twice as much does harm, an equal one none; the metric is the kind's own."""
    random, target = np.random.default_rng(4), Regression("GBP", largest_error=500)
    stable = numbers(random, 4_000, 50, target)
    for judge in (RealisedQuality(10, metric="mae"), RealisedQuality(10)):
        worse = judge.find(numbers(random, 1_000, 100, target), stable)
        assert (worse.judge, worse.harm) == ("RealisedQuality(mae)", True)
        assert worse.value == pytest.approx(50 * np.sqrt(2 / np.pi), rel=0.1)
        equal = judge.find(numbers(random, 1_000, 50, target), stable)
        assert (equal.harm, equal.in_doubt) == (False, False)


def test_numbers_at_the_bound_are_seldom_found_worse():
    """Of 200 rollouts whose candidate is worse by just what is allowed."""
    random, target = np.random.default_rng(5), Regression(largest_error=500)
    allowed = 10 * np.sqrt(2 / np.pi)
    sides = ((numbers(random, 500, 60, target), numbers(random, 1_000, 50, target)) for _ in range(200))
    assert sum(RealisedQuality(allowed).find(*side).harm for side in sides) <= 4


@pytest.mark.parametrize(
    ("judge", "target", "said"),
    [
        (
            RealisedQuality(1, metric="mae"),
            Regression(),
            "say in the model's target what an error counts as at most: la",
        ),
        (RealisedQuality(1), Regression(), "largest_error=..."),
        (
            RealisedQuality(0.1, metric="brier"),
            Regression(largest_error=1),
            "no row of a regression model loses any brier",
        ),
        (RealisedQuality(1, metric="mae"), Binary(), "name one of roc_auc, log_loss, brier"),
    ],
)
def test_where_single_rows_say_nothing_it_is_silent_and_says_what_to_do(judge, target, said):
    """A judge that cannot speak is no harm, and the fix is in what it says."""
    side = Traffic(500, 0, np.empty(0), np.empty(0), np.linspace(0, 9, 500), np.zeros(500), target=target)
    finding = judge.find(side, side)
    assert (finding.value, finding.harm) == (None, False)
    assert said in finding.detail
