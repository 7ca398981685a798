"""Verification of the audit log: entries against sealed leaves, leaves against signatures and anchors.

Whoever can write the tables, but has no key, is found by the signatures; whoever rewrote everything, checkpoints too,
by the anchors, which are elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select

from loopline.platform_core.audit import anchoring, retained
from loopline.platform_core.audit.checkpoint import opened
from loopline.platform_core.audit.entry import DEFAULT, what_of
from loopline.platform_core.audit.findings import Finding, Report, differences
from loopline.platform_core.audit.merkle import HASH_BYTES, Peaks, Tree, leaf_hash, split
from loopline.platform_core.audit.retained import History, LetGo
from loopline.platform_core.audit.sealing import unpacked
from loopline.platform_core.audit.tables import audit_checkpoints, audit_entries, audit_removed
from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    from loopline.platform_core.audit.anchoring import Anchor
    from loopline.platform_core.audit.keys import VerifyingKey

_PAGE = 10_000
_CLOCKS = timedelta(days=1)
"""By how much clocks of machines that seal may differ."""
_entry, _done = audit_entries.c, audit_checkpoints.c


@dataclass
class Sealed:
    """What the checkpoints say: the numbers and leaves of all entries, and from where each checkpoint's begin.

    ``removed`` are the numbers of those that are gone and said to be let go by retention, whether it is so or not.
    """

    members: list[int] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    checkpoints: list[Row[Any]] = field(default_factory=list)
    settled: int = 0
    removed: frozenset[int] = frozenset()

    @classmethod
    def read(cls, connection: Connection, tenant: str) -> Sealed:
        """Read all checkpoints of a tenant."""
        found = cls()
        for row in connection.execute(select(audit_checkpoints).where(_done.tenant == tenant).order_by(_done.size)):
            found.members += unpacked(row.members)
            found.leaves += split(row.leaves)
            found.checkpoints.append(row)
            found.settled = row.settled
        here = select(_entry.audit_id).where(_entry.audit_id == audit_removed.c.audit_id).exists()
        gone = select(audit_removed.c.audit_id).where(audit_removed.c.tenant == tenant, ~here)
        found.removed = frozenset(connection.scalars(gone))
        return found


def verify(
    connection: Connection, key: VerifyingKey, anchors: Iterable[tuple[str, bytes]] = (), tenant: str = DEFAULT
) -> Report:
    """Hold a tenant's record together, in one of the ledger's snapshots: meanwhile entries are sealed, and let go.

    ``anchors`` are names and contents of anchors, the oldest first.
    """
    return seen(connection, key, anchors, tenant).report


@dataclass(frozen=True)
class Seen:
    """What a verification found, what was sealed when, and which entries may be gone."""

    report: Report
    history: History
    let_go: LetGo


def seen(
    connection: Connection, key: VerifyingKey, anchors: Iterable[tuple[str, bytes]] = (), tenant: str = DEFAULT
) -> Seen:
    """Verify, in a snapshot too, and return also what retention goes by."""
    sealed = Sealed.read(connection, tenant)
    tree, history = Tree(sealed.leaves), History(sealed.members, sealed.leaves)
    findings = list(_of_checkpoints(sealed, tree, key, tenant, history))
    lines = retained.lines(connection, tenant)
    claimed = {row.audit_id: row.what for rows in lines.values() for row in rows}
    bodies, pending = _of_entries(connection, sealed, tenant, history, claimed)
    outside = _Outside(key, tenant, sealed.leaves, tree)
    for name, content in anchors:
        outside.add(name, content)
    history.anchored = outside.times
    let_go = retained.let_go(history, lines, key, tenant)
    gone = [one for one in bodies if one.kind == "removed" and one.seq is not None]
    well = {one.seq for one in gone if one.seq is not None and sealed.members[one.seq] in let_go.numbers}
    bodies = [one for one in bodies if one.kind != "removed" or one.seq not in well]
    findings = [*let_go.findings, *bodies, *outside.findings, *outside.against(), *findings]
    counts = len(sealed.leaves), pending, len(sealed.checkpoints), outside.count, len(outside.leaves), 0
    return Seen(Report(*counts, _numbered(findings, sealed.members), len(well)), history, let_go)


def _of_checkpoints(sealed: Sealed, tree: Tree, key: VerifyingKey, tenant: str, history: History) -> Iterator[Finding]:
    """Hold each signature against the tree as it was then; of a tree that differs only the first is told.

    When each was signed is put into ``history``; times do not go back, nor are they those of another day than today's.
    """
    before, newest = 0, None
    for row in sealed.checkpoints:
        size = before + len(row.leaves) // HASH_BYTES
        try:
            said = opened(row.note, key, tenant)
        except ContractBroken as error:
            yield Finding("forged", f"the checkpoint of {row.size} entries: {error.problem}")
            return
        if size < said.size == row.size:
            yield Finding("removed", f"the checkpoint before that of {row.size} entries is gone, or not whole")
            return
        well = size == said.size == row.size and len(row.members) * 4 == len(row.leaves)
        if not well or said.root != tree.root(size):
            between = f"entries {before} to {said.size - 1}"
            yield Finding(
                "changed", f"of {between} not all are those whose root was signed at {said.at:%Y-%m-%d %H:%M}"
            )
            return
        if not (newest or said.at) - _CLOCKS <= said.at <= datetime.now(UTC) + _CLOCKS:
            yield Finding("forged", f"the checkpoint of {row.size} entries says that it was signed at {said.at}")
            return
        before, newest = size, said.at
        history.sizes.append(size)
        history.times.append(said.at)


def _of_entries(
    connection: Connection, sealed: Sealed, tenant: str, history: History, claimed: Mapping[int, str]
) -> tuple[list[Finding], int]:
    """Hold each entry against its leaf; return what is wrong, and how many are not sealed.

    What retention says in them is put into ``history``; what it ``claimed`` of entries that still are there is held
    against what they tell.
    """
    leaves, members = sealed.leaves, sealed.members
    order = sorted(range(min(len(leaves), len(members))), key=members.__getitem__)
    findings: list[Finding] = []
    wrong: list[tuple[int, bytes]] = []
    at = pending = 0
    for number, body in _bodies(connection, tenant):
        while at < len(order) and members[order[at]] < number:
            findings.append(Finding("removed", "an entry that was sealed is gone", order[at]))
            at += 1
        if at < len(order) and members[order[at]] == number:
            leaf = leaf_hash(body.encode("utf-8", "surrogatepass"))
            if leaf != leaves[order[at]]:
                wrong.append((order[at], leaf))
            else:
                history.note(order[at], body)
            if number in claimed and what_of(body) != claimed[number]:
                findings.append(Finding("forged", f"it is said to be let go as {claimed[number]}", order[at]))
            at += 1
        elif number <= sealed.settled:
            findings.append(
                Finding("inserted", "an entry that was never sealed stands among sealed ones", None, number)
            )
        else:
            pending += 1
            history.pending.add(number)
    findings += [Finding("removed", "an entry that was sealed is gone", seq) for seq in order[at:]]
    return [*findings, *_of_wrong(wrong, leaves)], pending


def _of_wrong(wrong: list[tuple[int, bytes]], leaves: list[bytes]) -> Iterator[Finding]:
    places = {leaf: seq for seq, leaf in enumerate(leaves)} if wrong else {}
    for seq, leaf in wrong:
        if leaf in places:
            yield Finding("reordered", f"an entry holds what was sealed as entry {places[leaf]}", seq)
        else:
            yield Finding("changed", "an entry is not what was sealed", seq)


def _bodies(connection: Connection, tenant: str) -> Iterator[tuple[int, str]]:
    query = select(_entry.audit_id, _entry.body).where(_entry.tenant == tenant).order_by(_entry.audit_id)
    found = connection.execution_options(yield_per=_PAGE).execute(query)
    for page in found.partitions():
        yield from page


class _Outside:
    """What the anchors say, each of which goes on from those before."""

    def __init__(self, key: VerifyingKey, tenant: str, here: list[bytes], tree: Tree) -> None:
        self.key, self.tenant = key, tenant
        self.leaves: list[bytes] = []
        self.findings: list[Finding] = []
        self._here, self._tree = here, tree
        self._apart: Peaks | None = None
        self._names: list[tuple[int, str]] = []
        self.times: list[tuple[int, datetime]] = []

    @property
    def count(self) -> int:
        """Return how many anchors are well."""
        return len(self._names)

    def add(self, name: str, content: bytes) -> None:
        """Take an anchor, if it is signed and goes on from those before it."""
        try:
            anchor = anchoring.parsed(name, content)
            self._take(anchor)
        except ContractBroken as error:
            self.findings.append(Finding("forged", f"the anchor {name}: {error.problem}"))

    def _take(self, anchor: Anchor) -> None:
        said = opened(anchor.note, self.key, self.tenant)
        known, told = len(self.leaves) - anchor.since, split(anchor.leaves)
        if known < 0:
            fix = "look for it where anchors are kept"
            raise ContractBroken(f"the one before it is missing: it begins at {anchor.since}", fix)
        leaves, size = told[known:], anchor.since + len(told)  # two that anchor at once begin at the same place
        again = self.leaves[anchor.since :] if known else []
        if said.size != size or told[:known] != again or self._root(leaves) != said.root:
            raise ContractBroken("its hashes are not those whose root was signed", "see who wrote there")
        self.leaves += leaves
        self._names.append((size, anchor.name))
        self.times.append((size, said.at))

    def _root(self, fresh: list[bytes]) -> bytes:
        """Return the root with more leaves; as long as they are the record's own, its tree knows it."""
        since = len(self.leaves)
        if self._apart is None and fresh == self._here[since : since + len(fresh)]:
            return self._tree.root(since + len(fresh))
        if self._apart is None or self._apart.size != since:
            self._apart = Peaks()
            for leaf in self.leaves:
                self._apart.add(leaf)
        grown = Peaks(since, self._apart.hashes)
        for leaf in fresh:
            grown.add(leaf)
        self._apart = grown
        return grown.root()

    def against(self) -> list[Finding]:
        """Hold the record against what was anchored of it; what came later is not."""
        known, leaves = self.leaves, self._here
        if known == leaves[: len(known)]:
            return []
        found = leaves[: _reach(known, leaves)]
        first = next((i for i, (was, now) in enumerate(zip(known, found, strict=False)) if was != now), len(found))
        where = next(name for size, name in self._names if size > first)
        return differences(known[first:], found[first:], first, f"anchored in {where}")


def _reach(known: list[bytes], leaves: list[bytes]) -> int:
    """Return how many leaves stand for what was anchored: to the last that was, and one for each gone from the end."""
    there, here = set(known), set(leaves)
    last = next((i for i in range(len(leaves) - 1, -1, -1) if leaves[i] in there), -1)
    gone = next((i for i, leaf in enumerate(reversed(known)) if leaf in here), len(known))
    return last + 1 + gone


def _numbered(findings: list[Finding], members: list[int]) -> list[Finding]:
    """Give each finding its entry's number, and tell one place only once for the same reason."""
    out: dict[tuple[str, int | None, int | None, str], Finding] = {}
    for one in findings:
        known = one.seq is not None and one.seq < len(members) and one.audit_id is None
        full = replace(one, audit_id=members[one.seq]) if known and one.seq is not None else one
        place = full.seq is None and full.audit_id is None
        out.setdefault((full.kind, full.seq, full.audit_id, full.said if place else ""), full)
    return list(out.values())
