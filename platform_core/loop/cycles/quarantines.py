"""Quarantines: time windows of bad source data, left out of training until released.

The ledger holds who said so, when and why; what stands follows from its entries. Nothing is erased: a training set
pins the quarantines by which it was made, and is rebuilt by these whatever stands later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger.ledger import Entry

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

QUARANTINED, RELEASED = "data.quarantined", "data.released"


@dataclass(frozen=True)
class Quarantine:
    """Rows of events from ``since`` to before ``until`` of a source are not learnt from; by whom, and why."""

    quarantine_id: str
    team: str
    source: str
    since: datetime
    until: datetime
    by: str
    reason: str
    at: datetime

    @property
    def window(self) -> Window:
        """Return what a training set needs to know."""
        return Window(self.quarantine_id, self.source, self.since, self.until)


@dataclass(frozen=True)
class Window:
    """What a training set left out."""

    quarantine_id: str
    source: str
    since: datetime
    until: datetime

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.source} {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} ({self.quarantine_id})"

    def to_json(self) -> dict[str, str]:
        """Turn it into what JSON can hold."""
        times = {"since": self.since.isoformat(), "until": self.until.isoformat()}
        return {"quarantine_id": self.quarantine_id, "source": self.source, **times}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Window:
        """Turn it back."""
        since, until = (datetime.fromisoformat(value[name]) for name in ("since", "until"))
        return cls(value["quarantine_id"], value["source"], since, until)


def quarantine(ledger: Ledger, window: Quarantine) -> Quarantine:
    """Let training leave a window out from now on; the same window again is the same quarantine.

    Raises:
        Refused: nobody is named, or no reason given. ContractBroken: the window is empty, or has no time zone.
    """
    signed(window.by, window.reason, "a quarantine")
    if window.since.tzinfo is None or window.until.tzinfo is None or not window.since < window.until:
        raise ContractBroken(
            f"from {window.since} to {window.until} is no window of time", "give two instants in UTC, the earlier first"
        )
    known = {one.quarantine_id: one for one in standing(ledger, window.team)}
    if window.quarantine_id in known:
        return known[window.quarantine_id]
    ledger.record(_entry(QUARANTINED, window, window.by, window.reason, window.at))
    return window


def named(  # noqa: PLR0913, PLR0917 - a quarantine says what, who, why and when
    team: str, source: str, since: datetime, until: datetime, by: str, reason: str, at: datetime
) -> Quarantine:
    """Make a quarantine; its id follows from source and window."""
    window = f"{team}/{source} {since.isoformat()} {until.isoformat()}"
    digest = hashlib.sha256(window.encode()).hexdigest()[:6]
    return Quarantine(f"{source}-{since.astimezone(UTC):%Y%m%d}-{digest}", team, source, since, until, by, reason, at)


def release(ledger: Ledger, team: str, quarantine_id: str, by: str, reason: str, at: datetime) -> Quarantine:  # noqa: PLR0913, PLR0917 - as above
    """Take a quarantine back: training learns from these rows again.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: no such quarantine stands.
    """
    signed(by, reason, "the end of a quarantine")
    found = next((one for one in standing(ledger, team) if one.quarantine_id == quarantine_id), None)
    if found is None:
        raise NotFound(f"no quarantine {quarantine_id!r} of {team!r} stands", "list them with 'loopline data list'")
    ledger.record(_entry(RELEASED, found, by, reason, at))
    return found


def standing(ledger: Ledger, team: str, sources: Collection[str] | None = None) -> list[Quarantine]:
    """List the quarantines of a team that stand, the oldest first; of some sources if given."""
    found: dict[str, Quarantine] = {}
    for entry in ledger.entries(ModelRef(team, ""), [QUARANTINED, RELEASED]):
        if entry.kind == RELEASED:
            found.pop(entry.details["quarantine_id"], None)
        else:
            found[entry.details["quarantine_id"]] = _quarantine(entry)
    return [one for one in found.values() if sources is None or one.source in sources]


def windows(ledger: Ledger, team: str, sources: Sequence[str]) -> tuple[Window, ...]:
    """Return what training leaves out now of some sources, in an order that is always the same."""
    return tuple(sorted((one.window for one in standing(ledger, team, sources)), key=lambda one: one.quarantine_id))


def _entry(kind: str, found: Quarantine, by: str, reason: str, at: datetime) -> Entry:
    return Entry(kind, at, found.team, "", actor=by, reason=reason, details=found.window.to_json())


def _quarantine(entry: Entry) -> Quarantine:
    window = Window.from_json(entry.details)
    return Quarantine(
        quarantine_id=window.quarantine_id,
        team=entry.team,
        source=window.source,
        since=window.since,
        until=window.until,
        by=entry.actor,
        reason=entry.reason,
        at=entry.at,
    )
