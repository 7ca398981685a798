"""Windows of a version that the drift monitor has judged, read from the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.monitor.drift.drift_verdicts import WindowVerdict, from_details

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.platform import Platform

WINDOW = "drift.window"
"""Kind of the ledger entry that a judged window leaves; its details are a ``Window``."""


class Place(NamedTuple):
    """Where a row stands in the order: its event time (ISO 8601), and what tells rows of one instant apart."""

    event_time: str
    request_id: str
    row: int


@dataclass(frozen=True)
class Window:
    """A judged window of a version: its number from 1, where it begins (excluded) and ends, and its verdict."""

    number: int
    after: Place | None
    until: Place
    verdict: WindowVerdict


def judged(platform: Platform, ref: ModelRef, version: str, last: int | None = None) -> list[Window]:
    """Return the windows of a version that were judged, the ``last`` so many if given; oldest first."""
    return [from_entry(entry) for entry in entries(platform, ref, version, last)]


def entries(platform: Platform, ref: ModelRef, version: str, last: int | None = None) -> list[Entry]:
    """Return the ledger's entries of the windows of a version, the ``last`` so many if given; oldest first."""
    newest = platform.ledger.entries(ref, [WINDOW], limit=last, newest_first=True, version=version)
    return list(reversed(newest))


def from_entry(entry: Entry) -> Window:
    """Read the window that an entry tells of."""
    details = entry.details
    after, until, verdict = details["after"], Place(*details["until"]), from_details(details["verdict"])
    return Window(details["number"], Place(*after) if after else None, until, verdict)
