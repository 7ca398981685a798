"""Whether a version treats groups alike in what it does live, window by window, and how sure that is.

A group is held against the whole, as the gate ``FairAcross`` does it. Group and rest are two samples, whose difference
has an interval (Newcombe, 1998); the group's gap to the whole is that, times the share of the rest. The intervals of
all groups hold together in 99 of 100 windows (Bonferroni), so that no alarm is chance's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from loopline.platform_core.metrics import GROUP_METRICS, intervals
from loopline.platform_core.metrics.intervals import Interval
from loopline.platform_core.monitor import groups

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.outcomes import Outcomes
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.quality import Fairness

ALPHA = 0.01
"""Chance that a window alarms in which every group lies just within the bound."""
FEWEST_GROUPS = 2
"""Groups without which there is nothing to compare."""
Verdict = Literal["fair", "unfair", "open"]
"""``fair``: every gap is proven to be within the bound; ``unfair``: one is proven not to be; ``open``: neither."""


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A group's metric with its 95 % interval, of ``rows`` rows that the metric looks at."""

    name: str
    value: float
    low: float
    high: float
    rows: int


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """A rule's verdict on a window: of the group that lies farthest its gap to the whole, and every group."""

    column: str
    metric: str
    within: float
    verdict: Verdict
    group: str
    gap: float
    low: float
    high: float
    rows: int
    groups: list[Group]


class FairnessAt(NamedTuple):
    """A rule's verdict on one version's window; ``gap`` is the farthest group's metric less the whole's."""

    column: str
    metric: str
    version: str
    since: datetime
    until: datetime
    verdict: Verdict
    group: str
    gap: float
    low: float
    high: float
    within: float
    rows: int
    groups: tuple[Group, ...]

    @property
    def reason(self) -> str:
        """Say it in a sentence."""
        return (
            f"version {self.version}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}: {self.metric} of {self.column} "
            f"{self.group!r} lies {self.gap:+.3f} ({self.low:+.3f} to {self.high:+.3f}) from the whole's, "
            f"{self.within:g} is allowed: {self.verdict}"
        )


def history(platform: Platform, ref: ModelRef) -> list[FairnessAt]:
    """Return every verdict as it was measured last, oldest window first; nothing is measured here."""
    from loopline.platform_core.loop import quality_table

    return [
        FairnessAt(
            column=judged.column,
            metric=judged.metric,
            version=row.version,
            since=row.since,
            until=row.until,
            verdict=judged.verdict,
            group=judged.group,
            gap=judged.gap,
            low=judged.low,
            high=judged.high,
            within=judged.within,
            rows=judged.rows,
            groups=tuple(judged.groups),
        )
        for row in quality_table.rows(platform.ledger, ref)
        for judged in _decoder.decode(row.fairness)
    ]


def judge(rule: Fairness, rows: Outcomes, threshold: float) -> Judged | None:
    """Judge a version's window; None while fewer than two groups have enough rows."""
    metric = GROUP_METRICS[rule.metric]
    seen = rows.where(np.isfinite(rows.labels)) if metric.needs_labels else rows
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


def encode(judged: Sequence[Judged]) -> str:
    """Write verdicts as the ledger keeps them."""
    return msgspec.json.encode(judged).decode()


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


_decoder = msgspec.json.Decoder(list[Judged])
