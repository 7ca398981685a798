"""Fairness verdicts by window, as stored in the ledger's database; judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.metrics.metric import said

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

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
        gap, low, high = said(self.gap, self.low, self.high, sign="+")
        return (
            f"version {self.version}, {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}: {self.metric} of {self.column} "
            f"{self.group!r} lies {gap} ({low} to {high}) from the whole's, "
            f"{self.within:g} is allowed: {self.verdict}"
        )


_decoder = msgspec.json.Decoder(list[Judged])


def history(platform: Platform, ref: ModelRef) -> list[FairnessAt]:
    """Return every verdict as it was measured last, oldest window first."""
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
        for row in quality_table.rows(platform.ledger, ref, judged=True)
        for judged in _decoder.decode(row.fairness)
    ]


def encode(judged: Sequence[Judged]) -> str:
    """Write verdicts as the ledger keeps them."""
    return msgspec.json.encode(judged).decode()
