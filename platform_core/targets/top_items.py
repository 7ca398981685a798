"""The best of many scored items, and whether two lists of them say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats


def topmost(scores: Floats, k: int) -> Floats:
    """Return the places of the k best of each row, the best first, and then their scores: (rows, 2 k).

    Of items that score alike the first comes first. A row with a score that is no number has no scores.
    """
    import numpy as np

    if len(scores) == 1:  # a request's: a third of what its row would take among many
        return _topmost_of_one(scores[0], k)
    least = np.partition(scores, -k, axis=1)[:, -k, None] if len(scores) else scores[:, :1]
    chosen = scores >= least
    more = np.flatnonzero(chosen.sum(axis=1) > k)  # some are alike
    better, alike = scores[more] > least[more], scores[more] == least[more]
    room = k - better.sum(axis=1, keepdims=True)
    chosen[more] = better | (alike & (alike.cumsum(axis=1) <= room))
    lost = ~(chosen.sum(axis=1) == k) | np.isnan(scores).any(axis=1)
    chosen[lost] = np.arange(scores.shape[1]) < k
    places = np.nonzero(chosen)[1].reshape(len(scores), k)
    found = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)
    found[lost] = np.nan
    return np.concatenate([np.take_along_axis(places, order, axis=1).astype(np.float64), found], axis=1)


def _topmost_of_one(scores: Floats, k: int) -> Floats:
    """Return the same of a single row (items)."""
    import numpy as np

    found = np.empty((1, 2 * k))
    best = np.partition(scores, -k)[-k:]  # what is no number stands last
    if np.isnan(best).any():
        found[0, :k], found[0, k:] = np.argsort(-scores[:k], kind="stable"), np.nan
        return found
    places = np.flatnonzero(scores >= best[0])  # more than k where some are alike
    places = places[np.argsort(-scores[places], kind="stable")[:k]]
    found[0, :k], found[0, k:] = places, scores[places]
    return found


def moved(own: Floats, served: Floats, tolerance: float) -> int:
    """Count the rows of which the served list has an item in a place of which its own score is not worthy.

    Items whose scores are within the tolerance of each other may change places, also with one that is in no list: it
    scores as the last does at most.
    """
    import numpy as np

    k = own.shape[1] // 2
    rows = np.flatnonzero((np.rint(own[:, :k]) != np.rint(served[:, :k])).any(axis=1))
    places, scores = np.rint(own[rows, :k]), own[rows, k:]
    same = np.rint(served[rows, :k])[:, :, None] == places[:, None, :]  # (rows, served place, own place)
    owned = np.where(same.any(axis=2), np.take_along_axis(scores, same.argmax(axis=2), axis=1), scores[:, -1:])
    worthy = abs(owned - scores) <= tolerance * np.maximum(1.0, abs(scores))
    return int((~worthy).any(axis=1).sum())
