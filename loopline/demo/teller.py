"""Prints new ledger entries as they appear, with elapsed seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.sentences import OBSERVED, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

QUIET = {*OBSERVED, "deployment.changed", "arrival.landed"}
"""Kinds that come too often for a story; their figures stand in its end."""


@dataclass
class Teller:
    """Prints what is new in the ledger, and keeps all of it."""

    ledger: Ledger
    write: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    entries: list[Entry] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Print a sentence of the teller's own."""
        self.write(f"{time.monotonic() - self.began:6.1f} s  {sentence}")

    def listen(self) -> list[Entry]:
        """Tell what came since the last call, and return it."""
        last = self.entries[-1].entry_id if self.entries else 0
        column = tables.entries.c.entry_id
        new = self.ledger.selected(select(tables.entries).where(column > last).order_by(column))
        self.entries += new
        for entry in new:
            if entry.kind not in QUIET:
                self.say(tell(entry))
        return new

    def first(self, kind: str, cycle: str | None = None) -> Entry | None:
        """Return the first entry of a kind, of a cycle if one is given."""
        return next((e for e in self.entries if e.kind == kind and cycle in (None, e.cycle)), None)
