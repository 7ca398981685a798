"""False alarms at the very bound, and requests until harm is proven, judge by judge."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from benchmarks.judges.rollouts import AGREED, BESIDE, CASES, LOOKS, ROWS, Case
from benchmarks.page import Promise, Section

HOW = f"""Simulated rollouts of {ROWS:,} candidate requests, {BESIDE} of the stable version beside each, looked at
{LOOKS} times. *At the bound*: candidates that are exactly as bad as the judge allows; the share of rollouts in which it
ever finds harm must not exceed `alpha` = 0.01, and may show as much more as chance puts into so many rollouts. *Plain
rule*: the same rollouts, taken back as soon as the value lies above the bound at one look. *Worse*: times the bound,
the share of rollouts in which harm is proven before their end, and the median of the candidate's requests until then (a
label each for realised quality). *Paired*: judged on what both versions made of the same requests alone, whose scores
are correlated by {AGREED}; at 20 percent each request of the candidate comes with four of the stable version, and all
five are replayed through the other one."""
ALPHA, ROLLOUTS, WORSE_ROLLOUTS = 0.01, 1_000, 40


class Found(NamedTuple):
    """Requests until harm was proven, and whether the value ever was above the bound; 0 is never."""

    proven: int
    above: bool


def compare(quick: bool = False) -> Section:
    """Simulate each judge."""
    many, few = (50, 10) if quick else (ROLLOUTS, WORSE_ROLLOUTS)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        told = [_told(pool, number, many, few) for number in range(len(CASES))]
    least = ALPHA + 2 * float(np.sqrt(ALPHA * (1 - ALPHA) / many))
    bound = round(100 * least, 1)
    promises = [
        Promise(f"false alarms of {case.name}", 100 * alarms, bound, " %") for case, (_, alarms) in _pairs(told)
    ]
    header = ("judge", "of what", "false alarms at the bound", "plain rule", "worse: proven, after requests")
    return Section("Judges of a rollout", HOW, header, [row for row, _ in told], promises)


def rollout(number: int, effect: float, seed: int) -> Found:
    """Judge one simulated rollout, look by look, until harm is proven."""
    case, above = CASES[number], False
    sides = case.draw(np.random.default_rng([seed, number, round(effect * 100)]), effect)
    for rows in np.linspace(ROWS / LOOKS, ROWS, LOOKS).astype(int).tolist():
        finding = case.judge.find(*sides.by(rows))
        above = above or (finding.value is not None and finding.value > finding.bound)
        if finding.harm:
            return Found(rows, above=True)
    return Found(0, above)


def _told(pool: ProcessPoolExecutor, number: int, many: int, few: int) -> tuple[list[str], float]:
    case = CASES[number]
    at_bound = list(pool.map(partial(rollout, number, 1.0), range(many), chunksize=25))
    alarms = float(np.mean([found.proven > 0 for found in at_bound]))
    plain = float(np.mean([found.above for found in at_bound]))
    worse = [_worse(pool, number, effect, few) for effect in case.effects]
    return [case.name, case.said, f"{alarms:.1%}", f"{plain:.0%}", "; ".join(worse)], alarms


def _worse(pool: ProcessPoolExecutor, number: int, effect: float, few: int) -> str:
    found = [one.proven for one in pool.map(partial(rollout, number, effect), range(few), chunksize=5)]
    proven = [rows for rows in found if rows]
    after = f", {np.median(proven):,.0f}" if proven else ""
    return f"{effect:g} times: {len(proven) / few:.0%}{after}"


def _pairs(told: list[tuple[list[str], float]]) -> list[tuple[Case, tuple[list[str], float]]]:
    return list(zip(CASES, told, strict=True))
