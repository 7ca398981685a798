"""Top-k items by score, and the comparison of two top-k lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.metrics.metric import Flags, Floats


def topmost(scores: Floats, k: int) -> Floats:
    """Return the places of the k best of each row, the best first, and then their scores: (rows, 2 k).

    Of items that score alike the first comes first. A row with a score that is no number has no scores.
    """
    import numpy as np

    rows, items = scores.shape
    best = np.partition(scores, -k, axis=1)[:, -k:] if rows else scores[:, :k]  # what is no number stands last
    flat, starts, lost = np.flatnonzero(scores >= best[:, :1]), np.arange(rows)[:, None], None
    if len(flat) != rows * k or (flat.reshape(rows, k) // items != starts).any() or np.isnan(best).any():
        flat, lost = _choose(scores, best, k)
    found = scores.take(flat)
    order = np.argsort(-found.reshape(rows, k), axis=1, kind="stable") + starts * k
    listed = np.concatenate([(flat % items)[order], found[order]], axis=1)
    if lost is not None:
        listed[lost, k:] = np.nan
    return listed


def _choose(scores: Floats, best: Floats, k: int) -> tuple[NDArray[np.intp], Flags]:
    """Choose k of each row where some score alike or are no numbers; say also in which rows one is none."""
    import numpy as np

    least, lost = best[:, :1], np.asarray(np.isnan(best).any(axis=1))
    chosen = scores >= least
    more = np.flatnonzero(chosen.sum(axis=1) > k)  # some are alike
    better, alike = scores[more] > least[more], scores[more] == least[more]
    room = k - better.sum(axis=1, keepdims=True)
    chosen[more] = better | (alike & (alike.cumsum(axis=1) <= room))
    chosen[lost] = np.arange(scores.shape[1]) < k
    return np.flatnonzero(chosen), lost


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
