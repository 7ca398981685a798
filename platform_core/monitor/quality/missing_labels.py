"""Missing labels: alarm for windows whose predictions should have labels by now and have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.alarms import events
from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.names import EVENT_TIME, prediction_table
from loopline.platform_core.loop.rollouts import quality_table, raw
from loopline.platform_core.monitor.quality import quality_figures, window_figures
from loopline.platform_core.monitor.quality.outcomes import Outcomes
from loopline.platform_core.monitor.quality.quality_windows import windows

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model

REMEMBERED = timedelta(days=366)
"""How long a window without labels is an alarm: what nobody missed for a year is history."""
NEVER = "never measured"
"""Stands for the rules by which a window was measured, where nobody has."""


def tell(
    platform: Platform, ref: ModelRef, kept: Sequence[quality_table.Row], settled: datetime, gone: date | None
) -> None:
    """Raise an alarm of those of the ``kept`` windows without any label that were over before ``settled``, or clear it.

    Windows before the day ``gone``, whose predictions have expired, are measured no more: they count at once.
    """
    over = settled if gone is None else max(settled, datetime.combine(gone, time(), UTC))
    rows = [(row, quality_figures.counts(row.measured)) for row in kept if over - REMEMBERED < row.until <= over]
    gaps = [row for row, counts in rows if counts.answered and not counts.labelled]
    answers = sum(counts.answered for _, counts in rows if not counts.labelled)
    expired = [row for row in gaps if row.until > settled]
    events.unmeasured(platform, ref, _reason(gaps, answers, len(expired)) if gaps else "", answers=answers)


def note(platform: Platform, ref: ModelRef, model: Model, before: date) -> int:
    """Write down windows that were never measured and lose predictions before a day, while it is known what they were.

    Returns:
        How many windows.
    """
    last = before - timedelta(days=1)
    if not platform.lake.read(prediction_table(*ref), columns=["version"], until=last).num_rows:
        return 0
    known = quality_table.rows(platform.ledger, ref)
    rows = [row for row in _rows(platform, ref, model, before) if not any(map(row.overlaps, known))]
    quality_table.add(platform.ledger, ref, rows)
    return len(rows)


def _rows(platform: Platform, ref: ModelRef, model: Model, before: date) -> Iterator[quality_table.Row]:
    length = timedelta(days=model.quality.days)
    columns = ["role", "version", EVENT_TIME, "score"]
    width = model.target.width
    table = raw.read(platform.lake, prediction_table(*ref), columns, width, until=before + length)
    table = table.filter(pc.and_(pc.is_valid(table["score"]), pc.not_equal(table["role"], SHADOW_ROLE)))
    for version in sorted(table["version"].unique().to_pylist()):
        for start, window in windows(_outcomes(table.filter(pc.equal(table["version"], version))), length):
            if start.date() < before:
                kept = quality_figures.encode(window_figures.of_all(model, window))
                yield quality_table.Row(version, start, start + length, platform.clock.now(), NEVER, kept, "[]")


def _outcomes(table: pa.Table) -> Outcomes:
    moments = np.asarray(table[EVENT_TIME].cast(pa.int64()).to_numpy(), dtype=np.int64)
    return Outcomes(moments, raw.of(table), np.full(len(table), np.nan), {})


def _reason(gaps: Sequence[quality_table.Row], answers: int, expired: int) -> str:
    since, until = min(row.since for row in gaps), max(row.until for row in gaps)
    why = "no label of them has come, though labels of every class are older than that"
    if expired:
        why = f"no label of them had come when their predictions expired{_of(expired, len(gaps))}"
    return (
        f"the quality of {answers:,} answers in {len(gaps)} windows from {since:%Y-%m-%d} to {until:%Y-%m-%d} was "
        f"never measured: {why}"
    )


def _of(some: int, every: int) -> str:
    return "" if some == every else f", or while labels of every class came: {some} of {every} windows expired"
