"""Verification of removed audit entries: that the retention policy removed each, and not before its time.

Of an entry that is gone there is its hash in the tree, and a line in ``audit_removed`` that says what it told. Those
lines are held together by a note that the audit's key signed, which stands in an entry of the record. When each was
sealed is what checkpoints say, and anchors where they are older than its removal.
"""

from __future__ import annotations

import base64
import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select

from loopline.platform_core.audit import notes
from loopline.platform_core.audit.checkpoint import origin
from loopline.platform_core.audit.entry import AuditEntry, parsed
from loopline.platform_core.audit.findings import Finding
from loopline.platform_core.audit.tables import audit_removed
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.retention import OURS, RETAINED, SET, Holding, Retention
from loopline.platform_core.retention import parsed as policy

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs, VerifyingKey

_SAID = "retained"
_line = audit_removed.c
Line = tuple[int, int | None, str]
"""An entry's number, the ledger's, and what it told."""


def text(name: str, lines: Sequence[Line], leaves: Mapping[int, bytes], at: datetime) -> str:
    """Return what is signed: whose record, how many entries, the hash of their lines with their leaves, and when."""
    digest = hashlib.sha256()
    for number, entry_id, what in lines:
        digest.update(json.dumps([number, entry_id, what, leaves[number].hex()]).encode())
    told = base64.b64encode(digest.digest()).decode()
    return f"{name}\n{_SAID}\n{len(lines)}\n{told}\nat {at.isoformat(timespec='microseconds')}\n"


def signed(lines: Sequence[Line], leaves: Mapping[int, bytes], key: Signs, tenant: str, at: datetime) -> str:
    """Return the note under which entries are let go, in the order of their numbers."""
    return notes.signed(text(origin(key, tenant), lines, leaves, at), key)


@dataclass
class History:
    """What was sealed when: each entry by checkpoints and anchors; and what retention said, by its place in the tree.

    ``sizes`` and ``times`` are of checkpoints whose signature is good, ``anchored`` of anchors, by size; ``pending``
    are the numbers of entries that are not sealed yet.
    """

    members: Sequence[int]
    leaves: Sequence[bytes]
    sizes: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    anchored: list[tuple[int, datetime]] = field(default_factory=list)
    said: dict[int, AuditEntry] = field(default_factory=dict)
    pending: set[int] = field(default_factory=set)

    def note(self, seq: int, body: str) -> None:
        """Take an entry that is what was sealed, if it is one of retention's."""
        if '"what":"audit.ret' not in body:
            return
        with suppress(ContractBroken):  # what is no entry says nothing
            entry = parsed(body)
            if entry.what in OURS:
                self.said[seq] = entry

    def sealed_at(self, seq: int, before: int) -> datetime | None:
        """Return when an entry was sealed, as it was known when entry ``before`` was: None where nothing tells.

        By the first anchor that has it, which nobody could write again, else by its checkpoint.
        """
        place = bisect_right(self.anchored, seq, key=itemgetter(0))
        if place < len(self.anchored) and self.anchored[place][0] <= before:
            return self.anchored[place][1]
        place = bisect_right(self.sizes, seq)
        return self.times[place] if place < len(self.times) else None

    def in_force(self, before: int) -> Holding:
        """Return the policies that were sealed before an entry."""
        found = []
        for seq, entry in sorted(self.said.items()):
            at = self.sealed_at(seq, before) if entry.what == SET and seq < before else None
            if at is not None:
                found.append((at, policy_of(entry)))
        return Holding(found)

    def missing(self, seq: int, what: str, at: datetime, before: int, held: Holding) -> str:
        """Say what speaks against letting an entry go at a time; "" where nothing does."""
        since, days = self.sealed_at(seq, before), held.keeps(what, at)
        if since is None or days is None:
            return f"no policy that had stood for its time let go of {what}"
        left = since + timedelta(days=days) - at
        return f"it was let go {left.days + 1} days before its time" if left > timedelta() else ""


@dataclass(frozen=True)
class LetGo:
    """Entries that may be gone, by number, and what is wrong with lines that say so of others."""

    numbers: frozenset[int]
    findings: list[Finding]


def lines(connection: Connection, tenant: str) -> dict[int, list[Row[Any]]]:
    """Return the lines of each removal, by the number of its entry, in the order of what is gone."""
    found: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(select(audit_removed).where(_line.tenant == tenant).order_by(_line.audit_id)):
        found.setdefault(row.removal, []).append(row)
    return found


def let_go(history: History, found: Mapping[int, list[Row[Any]]], key: VerifyingKey, tenant: str) -> LetGo:
    """Hold lines against what was signed and sealed."""
    places = {number: seq for seq, number in enumerate(history.members)} if found else {}
    numbers: set[int] = set()
    findings: list[Finding] = []
    for removal, rows in found.items():
        if removal in history.pending:
            continue  # it lets nothing go before it is sealed
        try:
            seq, at = places[removal], _signed_at(history, places, removal, rows, key, tenant)
        except (ContractBroken, KeyError):
            said = f"{len(rows)} entries are said to be let go by entry {removal}, which did not"
            findings.append(Finding("forged", said, None, removal))
            continue
        wrong = dict(_wrong(history, places, seq, rows, at))
        findings += [Finding("removed", f"an entry that was sealed is gone: {why}", n) for n, why in wrong.items()]
        numbers |= {row.audit_id for row in rows if places[row.audit_id] not in wrong}
    return LetGo(frozenset(numbers), findings)


def _wrong(
    history: History, places: Mapping[int, int], seq: int, rows: list[Row[Any]], at: datetime
) -> Iterator[tuple[int, str]]:
    held = history.in_force(seq)
    for row in rows:
        if why := history.missing(places[row.audit_id], row.what, at, seq, held):
            yield places[row.audit_id], why


def _signed_at(  # noqa: PLR0913, PLR0917 - what is signed, of which lines, by whom
    history: History, places: Mapping[int, int], removal: int, rows: list[Row[Any]], key: VerifyingKey, tenant: str
) -> datetime:
    """Return when a removal was signed, if it is one of just these lines, and was sealed after that.

    Raises:
        ContractBroken: it is not. KeyError: it is no entry of retention's, or one that it names was never sealed.
    """
    seq = places[removal]
    entry = history.said[seq]
    said, by = notes.opened(entry.signed, key.every)
    if by is None or entry.what != RETAINED:
        raise ContractBroken("a removal is not signed", "see 'loopline audit verify'")
    at, sealed = _instant(said), history.sealed_at(seq, seq)
    leaves = {row.audit_id: history.leaves[places[row.audit_id]] for row in rows}
    told = text(origin(key, tenant), [(row.audit_id, row.entry_id, row.what) for row in rows], leaves, at)
    if told != said or sealed is None or at > sealed:
        raise ContractBroken("a removal is not what was signed", "see 'loopline audit verify'")
    return at


def _instant(said: str) -> datetime:
    with suppress(ValueError, IndexError):
        at = datetime.fromisoformat(said.splitlines()[-1].removeprefix("at "))
        if at.tzinfo is not None:
            return at
    raise ContractBroken("a removal says no time", "see 'loopline audit verify'")


def policy_of(entry: AuditEntry) -> Retention:
    """Return what a policy's entry says; one that cannot be read lets nothing go."""
    try:
        return policy(entry.subject)
    except ContractBroken:
        return Retention()
