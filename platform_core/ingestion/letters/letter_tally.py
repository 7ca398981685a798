"""Counts of dead letters and refused files by source, day and reason, from the ledger alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.ingestion.letters.dead_shares import REPLAYED
from loopline.platform_core.ingestion.letters.refusals import SETTLED, Refusals
from loopline.platform_core.loop.ledger.entry_kinds import LANDED, REFUSED
from loopline.platform_core.loop.ledger.new_entries import Newer

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger


@dataclass
class Tally:
    """What the ledger says of a source (``team/source``): rows and letters that came, and letters replayed since.

    ``refused`` are its refused files. ``days`` counts letters by the UTC day on which they landed, ``reasons`` by
    reason (a letter may have several).
    """

    source: str
    rows: int = 0
    letters: int = 0
    replayed: int = 0
    landed_at: datetime | None = None
    refused: Refusals = field(default_factory=Refusals)
    days: Counter[date] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def open(self) -> int:
        """Return how many letters are open."""
        return self.letters - self.replayed


class Tallies:
    """Keeps what it has read, so that asking again reads only what was told since; for many threads."""

    def __init__(self) -> None:
        self._known: dict[str, Tally] = {}
        self._told = Newer(LANDED, REPLAYED, REFUSED, SETTLED)
        self._lock = threading.Lock()

    def newest(self, ledger: Ledger) -> list[Tally]:
        """Return every source of which something came, those with refused files first, then by open letters."""
        with self._lock:
            for row in self._told.read(ledger):
                tally = self._known.setdefault(row.details["source"], Tally(row.details["source"]))
                _TAKES[row.kind](tally, row)
            return sorted(self._known.values(), key=_order)


def _order(tally: Tally) -> tuple[int, int, str]:
    return -len(tally.refused.standing), -tally.open, tally.source


def _land(tally: Tally, entry: Any) -> None:
    at, details = entry.at, entry.details
    tally.rows += details["rows"]
    tally.letters += details["dead"]
    tally.landed_at = at
    if details["dead"]:
        tally.days[at.date()] += details["dead"]
    tally.reasons.update(details["reasons"])


def _replay(tally: Tally, entry: Any) -> None:
    tally.replayed += entry.details["replayed"]


def _refuse(tally: Tally, entry: Any) -> None:
    tally.refused.apply(entry.kind, entry.at, entry.details)


_TAKES: Mapping[str, Callable[[Tally, Any], None]] = {
    LANDED: _land,
    REPLAYED: _replay,
    REFUSED: _refuse,
    SETTLED: _refuse,
}
