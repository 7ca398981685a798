"""Queries of the audit log: filtered entries, newest first or in the tree's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from loopline.platform_core.audit.entry import DEFAULT, AuditEntry, instant, shown
from loopline.platform_core.audit.tables import audit_entries, audit_removed
from loopline.platform_core.errors import NotFound

_entry = audit_entries.c
_PAGE = 1_000


@dataclass(frozen=True)
class Wanted:
    """Which entries: by who, what they did (or how that begins, as in ``rollout.``), team, model, outcome, and time."""

    who: str = ""
    what: str = ""
    team: str = ""
    model: str = ""
    since: datetime | None = None
    until: datetime | None = None
    outcome: str = ""

    def takes(self, entry: AuditEntry) -> bool:
        """Say whether an entry is one of them; times are those of the wall."""
        return (
            self.who in {"", entry.who}
            and (self.what in {"", entry.what} or (self.what.endswith(".") and entry.what.startswith(self.what)))
            and self.team in {"", entry.team}
            and self.model in {"", entry.model}
            and self.outcome in {"", entry.outcome}
            and (self.since is None or entry.recorded_at >= instant(self.since))
            and (self.until is None or entry.recorded_at <= instant(self.until))
        )


def newest(
    connection: Connection, wanted: Wanted, limit: int, before: int | None = None, most: int | None = None
) -> tuple[list[tuple[int, AuditEntry]], int | None]:
    """Return the last entries before a number that are wanted, and the number before which to go on, None at the end.

    Each comes with its number, the newest first. At most ``most`` entries are looked at, however few are wanted.
    """
    query = select(_entry.audit_id, _entry.body).where(_entry.tenant == DEFAULT).order_by(_entry.audit_id.desc())
    query = query if before is None else query.where(_entry.audit_id < before)
    found: list[tuple[int, AuditEntry]] = []
    looked, number = 0, None
    for number, body in connection.execution_options(yield_per=_PAGE).execute(query.limit(most)):
        looked += 1
        entry = shown(body)
        if wanted.takes(entry):
            found.append((number, entry))
            if len(found) >= limit:
                return found, number
    return found, number if looked == most else None


def bodies(connection: Connection, numbers: list[int]) -> Iterator[tuple[int, str]]:
    """Yield entries by their numbers, in this order.

    Raises:
        NotFound: one is not there.
    """
    for at in range(0, len(numbers), _PAGE):
        page = numbers[at : at + _PAGE]
        query = select(_entry.audit_id, _entry.body).where(_entry.audit_id.in_(page))
        found = dict(connection.execute(query).tuples().all())
        for number in page:
            if number not in found:
                raise _not_there(connection, number)
            yield number, found[number]


def _not_there(connection: Connection, number: int) -> NotFound:
    """Say whether retention let an entry go, or nobody knows of it."""
    removal = connection.scalar(select(audit_removed.c.removal).where(audit_removed.c.audit_id == number))
    if removal is None:
        return NotFound(f"the record has no entry {number}", "see 'loopline audit verify'")
    said = f"of entry {number} only its hash is kept: retention let it go"
    return NotFound(said, f"see entry {removal}, which says when")
