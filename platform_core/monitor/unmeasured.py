"""Gaps in measurement: answers whose labels should have come and have not, which no figure tells of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import events
from loopline.platform_core.loop import quality_table
from loopline.platform_core.monitor import window_figures

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

REMEMBERED = timedelta(days=366)
"""How long a window without labels is an alarm: what nobody missed for a year is history."""


def tell(platform: Platform, ref: ModelRef, settled: datetime) -> None:
    """Raise an alarm of windows that were over before ``settled`` and have no label at all, or clear it."""
    rows = [row for row in quality_table.rows(platform.ledger, ref) if settled - REMEMBERED < row.until <= settled]
    gaps = [row for row in rows if not window_figures.labelled(row.measured) and window_figures.answered(row.measured)]
    answers = sum(window_figures.answered(row.measured) for row in gaps)
    events.unmeasured(platform, ref, _reason(gaps, answers) if gaps else "", answers=answers)


def _reason(gaps: Sequence[quality_table.Row], answers: int) -> str:
    since, until = min(row.since for row in gaps), max(row.until for row in gaps)
    return (
        f"the quality of {answers:,} answers in {len(gaps)} windows from {since:%Y-%m-%d} to {until:%Y-%m-%d} was "
        "never measured: no label of them has come, though labels of both kinds are older than that"
    )
