"""Judges of the same requests: alpha holds at the bound, and harm is found with fewer requests than apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopline.platform_core.specs import Both, Pairs, RealisedQuality, ScoreShift, Slower, Traffic
from loopline.platform_core.specs.judges.sequential import look

NONE = np.empty(0)
ROWS = 1_000


def candidate(pairs: Pairs | None, scores: np.ndarray = NONE) -> Traffic:
    """Make the candidate's side."""
    return Traffic(len(scores), 0, NONE, scores, pairs=pairs)


def cut(both: Both, rows: int) -> Both:
    """Return the first pairs."""
    return Both(both.candidate[:rows], both.stable[:rows])


def alike(random: np.random.Generator, off: float) -> Both:
    """Draw normal scores that two versions give the same rows, the candidate's higher by so many deviations."""
    common = random.normal(size=ROWS)
    own = 0.9 * common + math.sqrt(1 - 0.81) * random.normal(size=ROWS)
    return Both(own + off, common)


def rare(random: np.random.Generator, off: float) -> Both:
    """Draw scores of which three in a hundred lie far from all others."""
    scores = np.where(random.random(ROWS) < 0.03, 0.9, 0.02) + random.normal(0, 0.002, ROWS)
    return Both(scores + off * 0.88 * math.sqrt(0.03 * 0.97), scores)


def shifted(draw, off: float, seeds: int) -> float:
    """Return the share of rollouts in which a shift beyond 0.2 is ever found, looked at whenever a look is due."""
    sizes = [rows for rows in range(1, ROWS + 1) if look(rows, 200)[1] == rows]
    found = 0
    for seed in range(seeds):
        scores = draw(np.random.default_rng(seed), off)
        sides = (candidate(Pairs(cut(scores, rows))) for rows in sizes)
        found += any(ScoreShift(0.2).find(side, candidate(None)).harm for side in sides)
    return found / seeds


@pytest.mark.parametrize("draw", [alike, rare])
def test_at_its_bound_a_shift_is_seldom_found_and_twice_that_nearly_always(draw):
    """Of 300 rollouts no more than alpha, and what chance allows; also where what is rare makes the deviation."""
    assert shifted(draw, 0.2, 300) <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / 300)
    assert shifted(draw, 0.4, 40) >= 0.9


def test_versions_that_agree_are_never_apart():
    """The distance of equal scores is none, whatever the rows are."""
    scores = np.random.default_rng(0).beta(1, 8, ROWS)
    finding = ScoreShift(0.1).find(candidate(Pairs(Both(scores, scores))), candidate(None))
    assert (finding.value, finding.harm) == (0.0, False)


def test_a_shift_is_that_of_the_distributions_not_of_single_rows():
    """A candidate that ranks quite otherwise but as high on the whole is no shift: other judges see to that."""
    random = np.random.default_rng(0)
    scores = Both(random.normal(size=ROWS), random.normal(size=ROWS))
    assert ScoreShift(0.1).find(candidate(Pairs(scores)), candidate(None)).value < 0.1


def test_before_enough_was_replayed_what_each_answered_is_compared():
    """With half of alpha each; where nothing can be replayed with all of it."""
    random = np.random.default_rng(0)
    mine, stable = random.normal(3, 1, 300), Traffic(300, 0, NONE, random.normal(0, 1, 300))
    few = Both(random.normal(size=199), random.normal(size=199))
    for pairs in (None, Pairs(), Pairs(few)):
        finding = ScoreShift(0.5).find(candidate(pairs, mine), stable)
        assert finding.harm
        assert "scores beside" in finding.detail
    silent = ScoreShift(0.5).find(candidate(Pairs(few)), Traffic(0, 0, NONE, NONE))
    assert (silent.is_silent, silent.detail) == (True, "0 scores beside 0, 199 of 200 rows scored by both")


@pytest.mark.parametrize("pauses", [0.05, 0.0])
def test_pauses_of_the_machine_are_nobodys_harm(pauses):
    """One prediction in twenty takes 20 ms longer, of either version, as on a busy machine."""
    found = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        times = [random.exponential(1, ROWS) + 20 * (random.random(ROWS) < pauses) for _ in range(2)]
        found += Slower(5).find(candidate(Pairs(latency_ms=Both(*times))), candidate(None)).harm
    assert found <= 5


def test_a_slower_candidate_is_found():
    """Where one request in twenty takes 10 ms longer; the value is the 99th percentile of what is added."""
    random = np.random.default_rng(0)
    stable = random.exponential(1, ROWS)
    mine = stable + 10 * (random.random(ROWS) < 0.05)
    finding = Slower(5).find(candidate(Pairs(latency_ms=Both(mine, stable))), candidate(None))
    assert (finding.harm, finding.value) == (True, pytest.approx(10.0))
    assert Slower(5).find(candidate(None), candidate(None)).is_silent
    assert Slower(5).find(candidate(Pairs()), candidate(None)).is_silent


def labelled(random: np.random.Generator, worse: float, rows: int = 600) -> Pairs:
    """Draw labels and probabilities of both versions; the candidate's are off by so much."""
    true = random.uniform(0.1, 0.9, rows)
    labels = (random.random(rows) < true).astype(float)
    mine = np.clip(true + worse * random.choice([-1.0, 1.0], rows), 0, 1)
    return Pairs(labels=labels, labelled_scores=Both(mine, true))


@pytest.mark.parametrize(("metric", "at_most"), [("brier", 0.01), ("log_loss", 0.03), ("roc_auc", 0.02)])
def test_realised_quality_is_compared_on_the_same_rows(metric, at_most):
    """600 labels prove what two samples of them could not; a version as good is never found worse."""
    judge = RealisedQuality(at_most, metric=metric)
    finding = judge.find(candidate(labelled(np.random.default_rng(0), 0.3)), candidate(None))
    assert finding.harm
    assert finding.detail == "600 labels of both"
    equal = [judge.find(candidate(labelled(np.random.default_rng(n), 0.0)), candidate(None)).harm for n in range(50)]
    assert not any(equal)


def test_at_the_bound_realised_quality_is_seldom_found_worse():
    """Looked at every 25 labels: of 300 rollouts no more than alpha, and what chance allows."""
    found = 0
    for seed in range(300):
        pairs = labelled(np.random.default_rng(seed), 0.1)
        sizes = range(100, 601, 25)
        parts = (Pairs(labels=pairs.labels[:n], labelled_scores=cut(pairs.labelled_scores, n)) for n in sizes)
        found += any(RealisedQuality(0.01, metric="brier").find(candidate(p), candidate(None)).harm for p in parts)
    assert found <= 300 * 0.01 + 2 * math.sqrt(300 * 0.01 * 0.99)


def test_without_labels_of_both_those_of_each_are_compared():
    """And too few of both say nothing."""
    random = np.random.default_rng(0)
    sides = [labelled(random, worse) for worse in (0.45, 0.0)]
    mine, other = (
        Traffic(600, 0, NONE, NONE, side.labels, side.labelled_scores[n], pairs=Pairs()) for n, side in enumerate(sides)
    )
    assert RealisedQuality(0.02, metric="brier").find(mine, other).detail == "600 labels beside 600"
    few = labelled(random, 0.4, rows=99)
    assert RealisedQuality(0.02, metric="brier").find(candidate(few), other).detail == "99 labels of both"


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("off", [0.0, 0.4])
def test_readings_of_any_scale_are_judged_alike(scale, off):
    """A judge measures in the stable version's deviations: rates of a millionth, or amounts of millions."""
    both = alike(np.random.default_rng(1), off)
    scaled = Both(both.candidate * scale - 3 * scale, both.stable * scale - 3 * scale)
    found, like = (ScoreShift(0.2).find(candidate(Pairs(side)), candidate(None)) for side in (scaled, both))
    assert (found.harm, found.value) == (like.harm, pytest.approx(like.value))
    apart, as_apart = (
        ScoreShift(0.2).find(candidate(None, side.candidate), candidate(None, side.stable)) for side in (scaled, both)
    )
    assert (apart.harm, apart.value) == (as_apart.harm, pytest.approx(as_apart.value))
