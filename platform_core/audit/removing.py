"""Audit retention: deletes expired entries; their hashes stay, so that the log still verifies.

In steps, each of which may be the last: what the environment says is written into the record where it is new; what is
due is named in an entry under the key's signature; that is sealed and anchored; and what is named is deleted, if a
verification then finds the record well and lets just these be gone. The next run goes on with what the last one left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError, ProgrammingError

from loopline.platform_core.audit import anchoring, recording, retained, sealing, verifying
from loopline.platform_core.audit.entry import DEFAULT, AuditEntry, instant, shown, what_of
from loopline.platform_core.audit.tables import audit_entries, audit_removed
from loopline.platform_core.errors import CommitConflict, Refused
from loopline.platform_core.foundation.clock import instant_of, micros
from loopline.platform_core.retention import FLOOR, RETAINED, SET, Holding, Retention

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs, VerifyingKey
    from loopline.platform_core.audit.retained import Line
    from loopline.platform_core.audit.verifying import Seen
    from loopline.platform_core.contracts.anchors import Anchors
    from loopline.platform_core.loop.ledger.ledger import Ledger

AT_ONCE = 20_000
"""The most entries that one run lets go."""
CLOCKS = timedelta(days=1)
"""By how much longer entries are kept, so that what seals them by a slower clock finds none let go before its time."""
_PAGE = 1_000
_LONGEST = 256
"""Characters of what an entry tells, as ``audit_removed`` holds it: what tells more is kept."""
_entry, _gone = audit_entries.c, audit_removed.c
Now = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Keeper:
    """Whose record it is, by which key it is signed, where it is anchored, and how long entries are kept."""

    ledger: Ledger
    policy: Retention
    anchors: Anchors | None = None
    tenant: str = DEFAULT
    now: Now = _now

    def due(self, key: VerifyingKey, at: datetime | None = None) -> Mapping[str, int]:
        """Count what would be let go now, or would have been at a time, by what it tells."""
        lines, _ = self._due(key, (at or self.now()) - CLOCKS)
        return Counter(what for _, _, what in lines)

    def retain(self, key: Signs, who: str) -> Mapping[str, int]:
        """Let go of what is due, and of what an earlier run named; return how many were deleted by what they told.

        Raises:
            Refused: this role of the database may not, or the record is not well: then nothing is let go.
            CommitConflict: another one seals or retains at this moment.
        """
        self.say(who)
        at = self.now() - CLOCKS
        lines, leaves = self._due(key.verifying, at)
        if lines:
            self._name(who, lines, retained.signed(lines, leaves, key, self.tenant, at))
        if not self._named():
            return {}
        sealing.seal(self.ledger, key, self.tenant, self.now)
        if self.anchors is not None:
            anchoring.anchor(self.ledger, self.anchors, key.verifying, self.tenant)
        return self._delete(self._named(), self._well(key.verifying).let_go.numbers)

    def say(self, who: str) -> None:
        """Write the policy into the record, if it is not the one that stands there."""
        with self.ledger.reading() as connection:  # a record is long, and while it is looked through others write
            if self._stands(connection):
                return
        with self.ledger.writing() as connection:
            if not self._stands(connection):
                told = AuditEntry(SET, who, instant(self.now()), subject=self.policy.text, tenant=self.tenant)
                recording.record(connection, told, self.now())

    def _stands(self, connection: Connection) -> bool:
        return (newest(connection, self.tenant) or Retention()).text == self.policy.text

    def _due(self, key: VerifyingKey, at: datetime) -> tuple[list[Line], Mapping[int, bytes]]:
        """Return what is past its time, in the order of its numbers, and its leaves."""
        if not self.policy.days:
            return [], {}
        with self.ledger.reading() as connection:
            if next(self._old(connection, at), None) is None:
                return [], {}
        history = self._well(key).history
        places = {number: seq for seq, number in enumerate(history.members)}
        before = len(places)
        anchored = before if self.anchors is None else (history.anchored or [(0, at)])[-1][0]
        held = history.in_force(before)
        with self.ledger.reading() as connection:
            found = (
                line
                for line in self._old(connection, at)
                if (seq := places.get(line[0], before)) < anchored
                and not history.missing(seq, line[2], at, before, held)
            )
            due = list(islice(found, AT_ONCE))
        return due, {number: history.leaves[places[number]] for number, _, _ in due}

    def _old(self, connection: Connection, at: datetime) -> Iterator[Line]:
        """Yield what the policy would let go of by the time at which it was written, and is not named yet."""
        columns = select(_entry.audit_id, _entry.entry_id, _entry.recorded_us, _entry.body)
        named = select(_gone.audit_id).where(_gone.audit_id == _entry.audit_id).exists()
        mine = (_entry.tenant == self.tenant, _entry.recorded_us <= micros(at - FLOOR), ~named)
        found = connection.execution_options(yield_per=_PAGE).execute(columns.where(*mine).order_by(_entry.audit_id))
        for number, entry_id, written, body in found:
            what = what_of(body)
            days = self.policy.keeps(what) if what and len(what) <= _LONGEST else None
            if what and days is not None and written <= micros(at - timedelta(days=days)):
                yield number, entry_id, what

    def _name(self, who: str, lines: Sequence[Line], note: str) -> None:
        at = self.now()
        counted = Counter(what for _, _, what in lines)
        reason = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
        told = AuditEntry(
            RETAINED, who, instant(at), subject=f"{len(lines)} entries", reason=reason, tenant=self.tenant, signed=note
        )
        try:
            with self._allowed() as connection:
                removal = recording.record(connection, told, at)
                rows = [
                    {"removal": removal, "audit_id": number, "tenant": self.tenant, "entry_id": entry_id, "what": what}
                    for number, entry_id, what in lines
                ]
                connection.execute(insert(audit_removed), rows)
        except IntegrityError as error:  # each is named once
            raise CommitConflict("another process retains at the same time", "run it again for the rest") from error

    def _named(self) -> list[tuple[int, str]]:
        """Return numbers of entries that are named and still are there, with what they tell."""
        query = select(_gone.audit_id, _gone.what).join(audit_entries, _gone.audit_id == _entry.audit_id)
        with self.ledger.reading() as connection:
            found = connection.execute(query.where(_gone.tenant == self.tenant).order_by(_gone.audit_id))
            return [(number, what) for number, what in found]

    def _well(self, key: VerifyingKey) -> Seen:
        outside = list(anchoring.kept(self.anchors, self.tenant)) if self.anchors is not None else []
        with self.ledger.snapshot() as connection:
            found = verifying.seen(connection, key, outside, self.tenant)
        if not found.report.well:
            raise Refused(
                f"nothing is let go of while the record is not well: {found.report.findings[0].said}",
                "run 'loopline audit verify', which says what was done to it",
            )
        return found

    def _delete(self, named: Sequence[tuple[int, str]], allowed: frozenset[int]) -> Mapping[str, int]:
        gone = {number: what for number, what in named if number in allowed}
        numbers, done = list(gone), Counter[str]()
        for at in range(0, len(numbers), _PAGE):
            these = delete(audit_entries).where(_entry.audit_id.in_(numbers[at : at + _PAGE]))
            try:
                with self._allowed() as connection:  # another one that retains may have been faster
                    done.update(gone[number] for number in connection.scalars(these.returning(_entry.audit_id)))
            except IntegrityError as error:
                raise Refused(
                    "the database lets nothing go that is younger than half a year by its own clock",
                    "compare the clocks of this machine and of the database",
                ) from error
        return done

    @contextmanager
    def _allowed(self) -> Iterator[Connection]:
        """Open a transaction that writes, and say whose right it is where the database refuses."""
        try:
            with self.ledger.writing() as connection:
                yield connection
        except ProgrammingError as error:
            raise Refused(
                "this role of the database may not let go of entries",
                "run 'loopline audit retain' as the role that 'loopline audit role --keeper' was granted to",
            ) from error


def newest(connection: Connection, tenant: str = DEFAULT) -> Retention | None:
    """Return the policy that was written last; None where there is none."""
    found = _policies(connection, tenant)
    return found[-1][1] if found else None


def notice(ledger: Ledger, tenant: str = DEFAULT, at: datetime | None = None) -> tuple[str, datetime] | None:
    """Return what the newest policy says and since when something is kept for less than now, where that is to come."""
    with ledger.reading() as connection:
        found = _policies(connection, tenant)
    holds = Holding(found).shortens_at(at or _now())
    return (found[-1][1].text, holds) if holds is not None else None


def _policies(connection: Connection, tenant: str) -> list[tuple[datetime, Retention]]:
    """Return the policies of the record with when each was written, the oldest first."""
    ours = _entry.body.like('%"what":"audit.retention_set"%')
    query = select(_entry.recorded_us, _entry.body).where(_entry.tenant == tenant, ours).order_by(_entry.audit_id)
    told = ((instant_of(written), shown(body)) for written, body in connection.execute(query))
    return [(at, retained.policy_of(entry)) for at, entry in told if entry.what == SET]
