"""Freshness of online features at request time: TTL check, and ages as metrics."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.foundation import histogram

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import OnlineRow
    from loopline.platform_core.runtime.model.manifest import ViewField

_BOUNDS = (1, 10, 60, 600, 3600, 21_600, 86_400, 604_800, 2_592_000, 7_776_000, 31_536_000)
"""From a second to a year: streams and monthly batches alike."""
_BOUNDS_US = tuple(bound * 1_000_000 for bound in _BOUNDS)
_DAY_US = 86_400_000_000
Labels = tuple[str, str]
"""Model and online view."""
_ABSENT = {
    "missing": "Online rows that were not there when a request wanted them.",
    "stale": "Online rows that were older than their view allows.",
}


class ViewUse(msgspec.Struct, frozen=True, gc=False):
    """A view in one request: the ages of the rows that were there (µs), and how many were missing or too old."""

    view: str
    ages_us: list[int]
    missing: int
    stale: int


@dataclass(slots=True)
class _Count:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    age_us: int = 0
    missing: int = 0
    stale: int = 0


class Freshness:
    """Ages of rows, and rows that were missing or stale, by model and view."""

    def __init__(self) -> None:
        self._counts: defaultdict[Labels, _Count] = defaultdict(_Count)

    def count(self, model: str, uses: Sequence[ViewUse]) -> None:
        """Count the rows of one request; an age is counted against the request's event time, as the TTL is."""
        for use in uses:
            count = self._counts[model, use.view]
            for age in use.ages_us:
                count.buckets[bisect.bisect_left(_BOUNDS_US, age)] += 1
            count.age_us += sum(use.ages_us)
            count.missing += use.missing
            count.stale += use.stale

    def copy(self) -> Freshness:
        """Return what has been counted by now, so that a thread can write it while counting goes on."""
        now = Freshness()
        for labels, count in self._counts.items():
            now._counts[labels] = _Count([*count.buckets], count.age_us, count.missing, count.stale)
        return now

    def lines(self) -> Iterator[str]:
        """Write every counter."""
        yield from self._ages()
        for what, meaning in _ABSENT.items():
            name = f"loopline_features_{what}_total"
            yield from histogram.head(name, "counter", meaning)
            for labels, count in self._counts.items():
                yield f"{name}{{{_written(labels)}}} {getattr(count, what)}"

    def _ages(self) -> Iterator[str]:
        name = "loopline_feature_age_seconds"
        yield from histogram.head(name, "histogram", "Age of online rows at the event time of the request.")
        for labels, count in self._counts.items():
            yield from histogram.lines(name, _written(labels), _BOUNDS, count.buckets, count.age_us / 1e6)


def fresh_rows(
    view: ViewField, rows: Sequence[OnlineRow | None], event_time_us: int
) -> tuple[Sequence[OnlineRow | None], ViewUse]:
    """Return the rows that count, else None: of the view's width, no older than the TTL (exactly as old is).

    A row whose event lies behind the request's is missing: what had not happened is not known.
    """
    width = len(view.features)
    limit_us = None if view.ttl_days is None else view.ttl_days * _DAY_US
    if len(rows) == 1 and (only := rows[0]) is not None and len(only.values) == width:
        age_us = event_time_us - only.event_time_us
        if 0 <= age_us and (limit_us is None or age_us <= limit_us):  # noqa: SIM300 - as the bounds lie
            return rows, ViewUse(view.view, [age_us], 0, 0)
    rows = [row if row is not None and has_happened(view, row, event_time_us) else None for row in rows]
    ages = [event_time_us - row.event_time_us for row in rows if row is not None]
    missing = len(rows) - len(ages)
    if limit_us is None or not ages or max(ages) <= limit_us:
        return rows, ViewUse(view.view, ages, missing, 0)
    oldest_us = event_time_us - limit_us
    fresh = [row if row is not None and row.event_time_us >= oldest_us else None for row in rows]
    return fresh, ViewUse(view.view, ages, missing, fresh.count(None) - missing)


def has_happened(view: ViewField, row: OnlineRow, event_time_us: int) -> bool:
    """Say whether a row is of the view's width, and its event no later than the request's."""
    return len(row.values) == len(view.features) and row.event_time_us <= event_time_us


def mark_missing(  # noqa: PLR0913, PLR0917 - of what, and into which lists
    view: ViewField,
    rows: Sequence[OnlineRow | None],
    fresh: Sequence[OnlineRow | None],
    event_time_us: int,
    missing: Sequence[list[str]],
    stale: Sequence[list[str]],
) -> None:
    """Write the view's name where its row does not count."""
    for place, row in enumerate(rows):
        if fresh[place] is None:
            is_old = row is not None and has_happened(view, row, event_time_us)
            (stale if is_old else missing)[place].append(view.view)


def _written(labels: Labels) -> str:
    model, view = labels
    return f'model="{model}",view="{view}"'
