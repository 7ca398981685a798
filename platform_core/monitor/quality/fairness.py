"""Fairness of a live version by window: each group's metric against the whole, with confidence intervals.

A group is held against the whole, as the gate ``FairAcross`` does it: by its own metric and that of the rest, two
samples whose difference has an interval (Newcombe, 1998, of shares; the same from those of two means); the group's gap
to the whole is that, times the share of the rest. The intervals of all groups hold together in 99 of 100 windows
(Bonferroni), so that no alarm is chance's.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from loopline.platform_core.monitor.quality import groups
from loopline.platform_core.monitor.quality.fairness_verdicts import Group, Judged, Verdict

if TYPE_CHECKING:
    from loopline.platform_core.metrics.intervals import Interval
    from loopline.platform_core.metrics.metric import Gap
    from loopline.platform_core.monitor.quality.outcomes import Outcomes
    from loopline.platform_core.specs.quality import Fairness
    from loopline.platform_core.targets import Target

ALPHA = 0.01
"""Chance that a window alarms in which every group lies just within the bound."""
FEWEST_GROUPS = 2
"""Groups without which there is nothing to compare."""


def judge(rule: Fairness, rows: Outcomes, target: Target) -> Judged | None:
    """Judge a version's window; None while fewer than two groups have enough rows."""
    metric = target.metrics[rule.of(target)]
    seen = rows.where(rows.labelled) if metric.needs_labels else rows
    told, values = target.rows(seen.labels, seen.raw), seen.groups[rule.column]
    members = {name: values == name for name in groups.largest(values, rule.min_rows)}
    known = [name for name, own in members.items() if metric.gap(told, own, 1 - ALPHA)]
    gaps = ((name, metric.gap(told, members[name], 1 - ALPHA / len(known))) for name in known)
    found = {name: gap for name, gap in gaps if gap and all(map(isfinite, (*gap.own, *gap.beyond)))}
    if len(found) < FEWEST_GROUPS:
        return None
    farthest = max(found, key=lambda name: (_proven(found[name].beyond, rule.within), abs(found[name].beyond.value)))
    beyond = found[farthest].beyond
    return Judged(
        column=rule.column,
        metric=metric.name,
        within=rule.within,
        verdict=_verdict(found, rule.within),
        group=farthest,
        gap=beyond.value,
        low=beyond.low,
        high=beyond.high,
        rows=metric.looked_at(told),
        groups=[Group(name=name, **one.own._asdict(), rows=one.rows) for name, one in found.items()],
    )


def _proven(gap: Interval, within: float) -> float:
    """Return by how much a gap exceeds the bound at least; 0 where it may not."""
    return max(0.0, gap.low - within, -gap.high - within)


def _verdict(found: Mapping[str, Gap], within: float) -> Verdict:
    gaps = [one.beyond for one in found.values()]
    if any(_proven(gap, within) for gap in gaps):
        return "unfair"
    return "fair" if all(-within <= gap.low and gap.high <= within for gap in gaps) else "open"
