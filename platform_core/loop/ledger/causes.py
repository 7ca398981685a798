"""Trace contexts of the landings that made versions of raw tables, from ledger entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop.ledger.entry_kinds import LANDED

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

LOOKED_AT, LINKS = 1_000, 128
"""The newest landings of a team that are looked at, and OpenTelemetry's own limit of links a span."""


def landings(platform: Platform, team: str, tables: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the ``traceparent`` of each landing that made a version of these raw tables, newest first.

    ``tables`` says from which version (excluded) to which of each table; nothing is looked up while traces are off.
    """
    if not tracing.on():
        return []
    entries = platform.ledger.entries(ModelRef(team, ""), [LANDED], limit=LOOKED_AT, newest_first=True)
    found = []
    for entry in entries:
        table = raw_table(*entry.details["source"].split("/", 1))
        after, until = tables.get(table, (0, -1))
        if tracing.TRACE in entry.details and after < entry.details["version"] <= until:
            found.append(entry.details[tracing.TRACE])
    return found[:LINKS]
