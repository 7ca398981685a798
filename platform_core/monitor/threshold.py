"""Where drift begins: beyond what chance alone shows in a window of that size."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.profile import Profile

FLOOR = 0.1
"""A smaller distance is no drift whatever the size of the window (Evidently's default)."""
ALPHA = 0.05
"""Chance that any measure of a quiet window exceeds its threshold, shared among them."""
TAIL = 0.1
"""Share of the draws that tells how the null thins out."""

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
