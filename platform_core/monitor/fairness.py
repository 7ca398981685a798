"""Whether a version treats groups alike in what it does live, window by window, and how sure that is.

A group is held against the whole, as the gate ``FairAcross`` does it. Group and rest are two samples, whose difference
has an interval (Newcombe, 1998); the group's gap to the whole is that, times the share of the rest. The intervals of
all groups hold together in 99 of 100 windows (Bonferroni), so that no alarm is chance's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.metrics import GROUP_METRICS, intervals
from loopline.platform_core.metrics.intervals import Interval
from loopline.platform_core.monitor import groups
from loopline.platform_core.monitor.fairness_verdicts import Group, Judged, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.specs.quality import Fairness

ALPHA = 0.01
"""Chance that a window alarms in which every group lies just within the bound."""
FEWEST_GROUPS = 2
"""Groups without which there is nothing to compare."""


def judge(rule: Fairness, rows: Outcomes, threshold: float) -> Judged | None:
    """Judge a version's window; None while fewer than two groups have enough rows."""
    metric = GROUP_METRICS[rule.metric]
    seen = rows.where(rows.labelled) if metric.needs_labels else rows
    names = groups.largest(seen.groups[rule.column], rule.min_rows)
    looked, hits = metric.marked(seen.labels, seen.scores, threshold)
    hits, values = hits[looked], seen.groups[rule.column][looked]
    members = {name: values == name for name in names if (values == name).any() and (values != name).any()}
    if len(members) < FEWEST_GROUPS:
        return None
    gaps = {name: _gap(hits, own, 1 - ALPHA / len(members)) for name, own in members.items()}
    farthest = max(gaps, key=lambda name: (_proven(gaps[name], rule.within), abs(gaps[name].value)))
    shown = [_group(name, hits[own]) for name, own in members.items()]
    verdict = _verdict(list(gaps.values()), rule.within)
    gap = gaps[farthest]
    return Judged(
        column=rule.column,
        metric=rule.metric,
        within=rule.within,
        verdict=verdict,
        group=farthest,
        gap=gap.value,
        low=gap.low,
        high=gap.high,
        rows=len(hits),
        groups=shown,
    )


def _gap(hits: NDArray[np.bool_], own: NDArray[np.bool_], confidence: float) -> Interval:
    """Return a group's share of hits less the whole's, from that of the rest."""
    between = intervals.difference(_share(hits[own], confidence), _share(hits[~own], confidence))
    return Interval(*(float(np.mean(~own)) * bound for bound in between))


def _group(name: str, hits: NDArray[np.bool_]) -> Group:
    share = _share(hits)
    return Group(name=name, value=share.value, low=share.low, high=share.high, rows=len(hits))


def _share(hits: NDArray[np.bool_], confidence: float = intervals.CONFIDENCE) -> Interval:
    found = intervals.share(float(hits.sum()), len(hits), confidence)
    assert found is not None, "a group without rows is none"
    return found


def _proven(gap: Interval, within: float) -> float:
    """Return by how much a gap exceeds the bound at least; 0 where it may not."""
    return max(0.0, gap.low - within, -gap.high - within)


def _verdict(gaps: Sequence[Interval], within: float) -> Verdict:
    if any(_proven(gap, within) for gap in gaps):
        return "unfair"
    return "fair" if all(-within <= gap.low and gap.high <= within for gap in gaps) else "open"
