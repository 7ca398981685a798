"""Judges may look at every tick: false alarms stay below alpha over all looks, and harm is found all the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopline.platform_core.specs import P99, ErrorRate, ScoreShift, Traffic
from loopline.platform_core.specs.judges.sequential import evidence, evidence_of_gap, look, spent

NONE = Traffic(0, 0, np.empty(0), np.empty(0))


def traffic(errors: int = 0, rows: int = 0, latency_ms: np.ndarray | None = None, scores: np.ndarray | None = None):
    """Make one side's traffic."""
    empty = np.empty(0)
    return Traffic(rows, errors, empty if latency_ms is None else latency_ms, empty if scores is None else scores)


def alarms(chance: float, bound: float, sequences: int, rows: int, every: int) -> float:
    """Return the share of sequences in which harm is ever proven at level 0.01, looked at every so many rows."""
    random = np.random.default_rng(1)
    hits = (random.random((sequences, rows)) < chance).cumsum(axis=1)[:, every - 1 :: every]
    sizes = np.arange(every, rows + 1, every)
    return float(
        np.mean([any(evidence(int(h), int(n), bound) >= 100 for h, n in zip(s, sizes, strict=True)) for s in hits])
    )


@pytest.mark.parametrize("bound", [0.01, 0.05, 0.3])
def test_a_candidate_at_its_bound_is_seldom_found_to_do_harm(bound: float) -> None:
    """400 rollouts at the very bound, each looked at 100 times: no more than alpha alarm, and what chance allows."""
    assert alarms(bound, bound, sequences=400, rows=2_000, every=20) <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / 400)


def test_one_look_after_another_without_correction_would_cry_wolf() -> None:
    """The same rollouts by the plain rule, rate above bound: nearly every one alarms at some look."""
    random = np.random.default_rng(1)
    hits = (random.random((400, 2_000)) < 0.05).cumsum(axis=1)[:, 99::20]
    assert (hits / np.arange(100, 2_001, 20) > 0.05).any(axis=1).mean() > 0.8


@pytest.mark.parametrize(("chance", "rows"), [(0.05, 400), (0.1, 150), (0.5, 20)])
def test_harm_is_proven_soon(chance: float, rows: int) -> None:
    """Error rates of 5, 10 and 50 percent against a bound of 1 percent are proven in 90 of 100 rollouts by then."""
    assert alarms(chance, 0.01, sequences=200, rows=rows, every=rows // 20) >= 0.9


def test_evidence_at_the_edges() -> None:
    """A bound of nothing is broken by one hit, one of all by none; no rows prove nothing; large counts are finite."""
    assert evidence(1, 10, 0.0) == math.inf
    assert evidence(0, 10, 0.0) == 1.0
    assert evidence(10, 10, 1.0) == 1.0
    assert evidence(0, 0, 0.1) == 1.0
    assert evidence(0, 10_000, 0.1) < 1e-4
    assert math.isfinite(evidence(1_000_000, 1_000_000, 0.5))


def test_looks_come_when_the_sample_has_grown_by_a_quarter() -> None:
    """The first at 30 rows; what they may spend adds up to alpha."""
    assert look(29) == (0, 0)
    assert [look(n) for n in (30, 37, 38, 47, 59)] == [(1, 30), (1, 30), (2, 38), (3, 47), (4, 59)]
    assert sum(spent(number, 0.05) for number in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)


def test_a_rate_above_the_bound_without_proof_is_in_doubt() -> None:
    """Two errors of a hundred against one percent: more traffic is needed to say."""
    doubt = ErrorRate(0.01).find(traffic(2, 100), NONE)
    assert (doubt.harm, doubt.in_doubt) == (False, True)
    sure = ErrorRate(0.01).find(traffic(9, 100), NONE)
    assert (sure.harm, sure.in_doubt) == (True, False)
    assert not ErrorRate(0.01).find(traffic(1, 100), NONE).in_doubt


def test_the_slow_tail_is_counted() -> None:
    """Ten of two hundred slower than the bound are too many; two are what a 99th percentile is."""
    slow = P99(50).find(traffic(latency_ms=np.array([60.0] * 10 + [1.0] * 190)), NONE)
    assert (slow.harm, slow.detail) == (True, "10 of 200 requests were slower")
    assert not P99(50).find(traffic(latency_ms=np.array([60.0] * 2 + [1.0] * 198)), NONE).harm


@pytest.mark.parametrize(("moved", "least", "most"), [(0.0, 0, 0), (0.5, 0, 1), (1.0, 28, 30)])
def test_a_shift_of_scores_is_proven_beyond_its_bound_only(moved: float, least: int, most: int) -> None:
    """Thirty rollouts of up to 300 scores against a bound of half a deviation: none, at the bound at most one, all."""
    found = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        stable, candidate = random.normal(0, 1, 1_000), random.normal(moved, 1, 300)
        sizes = [n for n in range(30, 301) if look(n)[1] == n]
        sides = ((traffic(scores=candidate[:n]), traffic(scores=stable)) for n in sizes)
        found += any(ScoreShift(0.5).find(*pair).harm for pair in sides)
    assert least <= found <= most


def test_a_gap_between_two_means_is_proven_beyond_its_bound_only() -> None:
    """Of 200 pairs of samples whose means lie just so far apart at most chance is alarmed; twice as far, nearly all."""
    found = dict.fromkeys((0.1, 0.25), 0)
    for seed in range(200):
        random = np.random.default_rng(seed)
        low = random.beta(2, 8, 2_000)
        for apart in found:
            high = np.clip(random.beta(2, 8, 500) + apart, 0, 1)
            found[apart] += any(evidence_of_gap(high[:n], low[: 4 * n], 0.1) >= 100 for n in range(25, 501, 25))
    assert found[0.1] <= 0.01 * 200 + 2 * math.sqrt(200 * 0.01 * 0.99)
    assert found[0.25] >= 190
    assert evidence_of_gap(np.empty(0), np.ones(3), 0.1) == 1.0
