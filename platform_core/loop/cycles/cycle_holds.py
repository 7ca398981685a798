"""Data holds of a cycle: when and why bad data kept it from training, and who released it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.loop.ledger.entry_kinds import DOUBTED, PINNED, WENT_ON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.platform_core.loop.ledger.ledger import Entry

_ENDS = {WENT_ON: "let go", PINNED: "its data was learnt from", "cycle.closed": "the cycle was closed"}


@dataclass(frozen=True)
class Hold:
    """A time in which a cycle did not learn, because checks of its sources failed.

    ``reasons`` are what its sources were doubted for, as last found. While it holds, ``until`` is None. ``ended_by`` is
    a person, or "platform" where the checks passed by themselves; ``ending`` says how it ended.
    """

    since: datetime
    reasons: tuple[str, ...]
    until: datetime | None = None
    ended_by: str = ""
    ending: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        why = "; ".join(self.reasons)
        if self.until is None:
            return f"held since {self.since:%Y-%m-%d %H:%M:%S} UTC: {why}"
        who = "" if self.ended_by == "platform" else f" by {self.ended_by}"
        held = f"held from {self.since:%Y-%m-%d %H:%M:%S} to {self.until:%Y-%m-%d %H:%M:%S} UTC: {why}"
        return f"{held}; ended{who}: {self.ending}"


def holds(entries: Iterable[Entry]) -> list[Hold]:
    """Return the holds of one cycle from its entries, oldest first."""
    found: list[Hold] = []
    for entry in entries:
        standing = found[-1] if found and found[-1].until is None else None
        if entry.kind == DOUBTED and entry.details["held"]:
            reasons = tuple(entry.details["doubts"])
            if standing is None:
                found.append(Hold(entry.at, reasons))
            else:
                found[-1] = replace(standing, reasons=reasons)
        elif standing is not None and (entry.kind in _ENDS or entry.kind == DOUBTED):
            ending = entry.reason or _ENDS.get(entry.kind, "")
            found[-1] = replace(standing, until=entry.at, ended_by=entry.actor, ending=ending)
    return found
