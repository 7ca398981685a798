"""Dead letters of every source, by day and reason, as landings told the ledger; no table is opened."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.ingestion.dead_letters import REPLAYED
from loopline.platform_core.loop.entry_kinds import LANDED
from loopline.platform_core.loop.new_entries import Newer

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger import Ledger


@dataclass
class Tally:
    """What the ledger says of a source (``team/source``): rows and letters that came, and letters replayed since.

    ``days`` counts letters by the UTC day on which they landed, ``reasons`` by reason (a letter may have several).
    """

    source: str
    rows: int = 0
    letters: int = 0
    replayed: int = 0
    landed_at: datetime | None = None
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
        self._told = Newer(LANDED, REPLAYED)
        self._lock = threading.Lock()

    def newest(self, ledger: Ledger) -> list[Tally]:
        """Return every source that landed of late, those with the most open letters first."""
        with self._lock:
            for row in self._told.read(ledger):
                tally = self._known.setdefault(row.details["source"], Tally(row.details["source"]))
                (_land if row.kind == LANDED else _replay)(tally, row.at, row.details)
            return sorted(self._known.values(), key=lambda tally: (-tally.open, tally.source))


def _land(tally: Tally, at: datetime, details: Mapping[str, Any]) -> None:
    tally.rows += details["rows"]
    tally.letters += details["dead"]
    tally.landed_at = at
    if details["dead"]:
        tally.days[at.date()] += details["dead"]
    tally.reasons.update(details["reasons"])


def _replay(tally: Tally, _: datetime, details: Mapping[str, Any]) -> None:
    tally.replayed += details["replayed"]
