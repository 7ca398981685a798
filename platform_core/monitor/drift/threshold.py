"""Drift thresholds: what chance alone, or the training set's own blocks, give in a window of that size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.drift.blocks import MISSING, measure_name
from loopline.platform_core.monitor.drift.profile import Profile

FLOOR = 0.1
"""A smaller distance is no drift whatever the size of the window (Evidently's default)."""
ALPHA = 0.05
"""Chance that any measure of a quiet window exceeds its threshold, shared among them."""
TAIL = 0.1
"""Share of the draws that tells how the null thins out."""


@dataclass(frozen=True)
class Bound:
    """What a measure must reach to be drift; ``words`` say what training never showed, where its blocks decide."""

    value: float
    words: str = ""


@dataclass(frozen=True)
class Reach:
    """How far blocks of the training set as long as a window lie from it, and the words for what lies beyond."""

    reach: float
    words: str


_known: dict[tuple[str, str, str, int, int], float] = {}


def threshold(profile: Profile, name: str, rows: int, part: str = "", seed: int = 0) -> float:
    """Return the larger of ``FLOOR`` and the null quantile of a measure for a window with ``rows`` values.

    The null is drawn from the profile alone, of texts and vectors from its sample; it is the same for the same
    ``seed``, and remembered by content and size.
    """
    size = _bucket(effective(rows, profile.columns[name].rows))
    key = (profile.digest, name, part, size, seed)
    if key not in _known:
        sample = profile.sample.column(name)
        null = profile.columns[name].null(part, size, sample, np.random.default_rng(seed))
        _known[key] = max(FLOOR, far_quantile(null, chance(profile)))
    return _known[key]


def bound(profile: Profile, name: str, rows: int, seconds: float | None, part: str = "") -> Bound:
    """Return what a measure of a window must reach: beyond chance, and beyond the training set's own blocks."""
    return _further(
        threshold(profile, name, rows, part), beyond_blocks(profile, measure_name(name, part), rows, seconds)
    )


def missing_bound(profile: Profile, name: str, rows: int, seconds: float | None) -> Bound:
    """Return by how much a column's missing share may differ."""
    plain = share_threshold(profile.columns[name].missing_share, rows, chance(profile))
    return _further(plain, beyond_blocks(profile, measure_name(name, MISSING), rows, seconds))


def beyond_blocks(profile: Profile, measure: str, rows: int, seconds: float | None) -> Reach:
    """Return how far blocks reach by a measure; 0 where they lie no farther off than chance puts them."""
    if profile.blocks is None:
        return Reach(0.0, "")
    found = profile.blocks.bound(measure, rows, seconds, chance(profile))
    if found is None:
        return Reach(0.0, profile.blocks.short(rows))
    return Reach(found[0], profile.blocks.beyond(found[1]))


def _further(plain: float, blocks: Reach) -> Bound:
    """Take the larger one; words are the blocks' where theirs is, or where there are too few of them."""
    return Bound(max(plain, blocks.reach), blocks.words if blocks.reach >= plain or not blocks.reach else "")


def chance(profile: Profile) -> float:
    """Return each measure's part of ``ALPHA``: those of the columns, and the joint one."""
    return ALPHA / (sum(len(column.parts) for column in profile.columns.values()) + 1)


def share_threshold(share: float, rows: int, chance: float) -> float:
    """Return by how much a share may differ from the reference's, the binomial's tails as a normal's."""
    sigma = math.sqrt(share * (1 - share) / max(rows, 1))
    return max(FLOOR, NormalDist().inv_cdf(1 - chance / 2) * sigma)


def effective(rows: int, reference: int) -> int:
    """Return the size at which one sample varies as much as both together: the reference is a sample as well."""
    return max(int(rows * reference / max(rows + reference, 1)), 1)


def far_quantile(draws: Floats, chance: float) -> float:
    """Return what a draw exceeds with ``chance`` (below ``TAIL``), by an exponential tail over the highest draws.

    The plain quantile would be about the largest draw, which is a lottery. Source: peaks over threshold (Pickands,
    1975), with the shape of a light tail.
    """
    start = float(np.quantile(draws, 1 - TAIL))
    beyond = draws[draws > start] - start
    return start + (float(beyond.mean()) * math.log(TAIL / chance) if len(beyond) else 0.0)


def _bucket(rows: int) -> int:
    """Round down to two digits, so that windows of about the same size share a null (a little too high for them)."""
    unit = int(10 ** max(len(str(rows)) - 2, 0))
    return rows // unit * unit
