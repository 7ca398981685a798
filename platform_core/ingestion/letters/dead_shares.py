"""Alarm for arrivals of which most rows are dead letters, until they are replayed or dismissed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import events
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef

if TYPE_CHECKING:
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.loop.ledger.ledger import Ledger

REPLAYED, MANY, DISMISSED = "dead_letters.replayed", "dead_letters.many", "dead_letters.dismissed"
DEAD_SHARE = 0.5
"""An arrival of which more than this share is dead letters is an alarm."""


@dataclass(frozen=True)
class Share:
    """Rows and dead letters of one arrival, the letters by reason."""

    name: str
    rows: int
    dead: int
    reasons: Mapping[str, int]

    @property
    def high(self) -> bool:
        """Say whether most of it is dead letters."""
        return self.dead > DEAD_SHARE * (self.rows + self.dead)

    def __str__(self) -> str:
        """Say it to people."""
        most = max(self.reasons, key=lambda reason: self.reasons[reason], default="")
        often = f", most often for {most}" if most else ""
        return f"{self.dead:,} of {self.dead + self.rows:,} rows of {self.name} broke the contract{often}"


def record_dead_share(inbox: Inbox, arrival_id: str, share: Share) -> None:
    """Write into the ledger that most rows of an arrival are dead letters, once an arrival."""
    details = {"arrival": arrival_id, "name": share.name, "rows": share.rows, "dead": share.dead}
    key = f"{MANY}:{inbox.where}:{arrival_id}"
    inbox.record(MANY, str(share), {**details, "reasons": dict(share.reasons)}, once=key)
    review(inbox)


def standing(ledger: Ledger, team: str, source: str) -> Sequence[Share]:
    """List the arrivals that nobody has done anything about, the oldest first."""
    found: dict[str, Share] = {}
    for entry in ledger.entries(ModelRef(team, ""), [MANY, REPLAYED, DISMISSED]):
        if entry.details["source"] != f"{team}/{source}":
            continue
        if entry.kind == MANY:
            details = entry.details
            share = Share(details["name"], details["rows"], details["dead"], details["reasons"])
            found[details["arrival"]] = share
        else:
            found.clear()
    return [*found.values()]


def review(inbox: Inbox) -> None:
    """Bring the alarm up to what stands."""
    events.dead_share(inbox.platform, inbox.where, standing(inbox.platform.ledger, inbox.team, inbox.source))


def dismiss(inbox: Inbox, by: str, reason: str) -> Sequence[Share]:
    """Say that nothing is to be done about the letters of these arrivals; they stay letters, the alarm is over.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: nothing stands.
    """
    from loopline.platform_core.loop.freezes import signed

    signed(by, reason, "a dismissal")
    found = standing(inbox.platform.ledger, inbox.team, inbox.source)
    if not found:
        raise NotFound(f"{inbox.where} has no arrival of mostly dead letters", "see 'loopline alarms list'")
    inbox.record(DISMISSED, reason, {"arrivals": [share.name for share in found]}, actor=by)
    review(inbox)
    return found


def high(shares: Iterable[tuple[str, Share]]) -> list[tuple[str, Share]]:
    """Keep the arrivals of which most rows are dead letters."""
    return [(arrival_id, share) for arrival_id, share in shares if share.high]
