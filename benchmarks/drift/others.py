"""Texts, vectors and all columns together: our verdicts beside those of the methods that Evidently has for them.

They are other statistics, so only verdicts are compared, on shapes that either did not move or moved plainly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.monitor.drift.drift_verdicts import JOINT
from loopline.platform_core.monitor.drift.profile import build_profile
from loopline.platform_core.monitor.drift.window import judge_table

REFERENCE, WINDOW, DIMENSIONS = 3_000, 800, 12


@dataclass(frozen=True)
class Verdicts:
    """What moved, by which of Evidently's methods, and whether each side finds it."""

    what: str
    method: str
    moved: bool
    ours: bool
    evidently: bool


def texts() -> Iterator[Verdicts]:
    """Compare with ``perc_text_content_drift``: a linear classifier of TF-IDF, held against a random one."""
    from evidently.legacy.calculations.stattests import perc_text_content_drift_stat_test as by_percentile
    from evidently.legacy.core import ColumnType

    for what, more in (("nothing", ""), ("new words", " came broken"), ("nothing again", "")):
        random = np.random.default_rng(len(what))
        before, after = _said(random, REFERENCE, ""), _said(random, WINDOW, more)
        sides: list[Any] = [pa.array(side).to_pandas() for side in (before, after)]
        _, theirs = by_percentile.func(*sides, ColumnType.Text, 0.95)
        ours = _judged({"x": before}, {"x": after})
        yield Verdicts(f"text: {what}", "text content drift", bool(more), "x" in ours, bool(theirs))


def vectors() -> Iterator[Verdicts]:
    """Compare with the share of drifted components, the maximum mean discrepancy, and a linear classifier."""
    from evidently.legacy.metrics.data_drift import embedding_drift_methods as methods

    ratio = methods.ratio(component_stattest="wasserstein", component_stattest_threshold=0.1, threshold=0.2)
    for shift in (0.0, 0.3, 0.6):
        random = np.random.default_rng(round(10 * shift))
        before, after = random.normal(size=(REFERENCE, DIMENSIONS)), random.normal(shift, 1, (WINDOW, DIMENSIONS))
        ours = "x" in _judged({"x": before.tolist()}, {"x": after.tolist()})
        frames = [pa.table(dict(zip("abcdefghijkl", side.T, strict=True))).to_pandas() for side in (after, before)]
        for name, method in (("ratio", ratio), ("mmd", methods.mmd()), ("model", methods.model())):
            theirs = bool(method(*frames)[1])
            yield Verdicts(f"vectors by {shift} deviations", name, shift > 0, ours, theirs)


def together() -> Iterator[Verdicts]:
    """Compare with the linear classifier, the only one that sees several columns; it is blind to correlation."""
    from evidently.legacy.metrics.data_drift import embedding_drift_methods as methods

    for after in (0.8, 0.2):
        random = np.random.default_rng(round(10 * after))
        sides = [_pair(random, rows, share) for rows, share in ((REFERENCE, 0.8), (WINDOW, after))]
        ours = JOINT in _judged(sides[0], sides[1])
        frames = [pa.table(side).to_pandas() for side in (sides[1], sides[0])]
        theirs = bool(methods.model()(*frames)[1])
        yield Verdicts(f"correlation 0.8 → {after}", "model", after != 0.8, ours, theirs)


def _judged(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    profile = build_profile(pa.table(before), list(before), np.zeros(REFERENCE))
    return judge_table(profile, pa.table({**after, "score": np.zeros(WINDOW)})).drifted


def _pair(random: np.random.Generator, rows: int, share: float) -> dict[str, Any]:
    first, noise = random.normal(size=rows), random.normal(size=rows)
    return {"a": first, "b": share * first + np.sqrt(1 - share**2) * noise}


def _said(random: np.random.Generator, rows: int, more: str) -> list[str]:
    words = np.array([f"word{number}" for number in range(200)])
    return [" ".join(line) + more * (place % 3 == 0) for place, line in enumerate(random.choice(words, (rows, 8)))]
