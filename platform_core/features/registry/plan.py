"""Registration plan: what a team's declarations would change in the registry, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from loopline.platform_core.errors import Refused
from loopline.platform_core.features.registry.meaning import Meaning, differences
from loopline.platform_core.features.registry.readers import HOLDS, Reader
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import ViewRecord


class Change(NamedTuple):
    """A view whose meaning changed under the same version: the record to be, what changed in a few words, from what.

    ``mends`` says that the view failed as it was, and gives the rows as before that it gave.
    """

    record: ViewRecord
    what: Sequence[str]
    before: Meaning
    mends: bool = False


@dataclass(frozen=True)
class Plan:
    """Views to be added or taken up again, changed in meaning, told anew (owner, description), and retired."""

    added: tuple[ViewRecord, ...]
    changed: tuple[Change, ...]
    described: tuple[ViewRecord, ...]
    retired: tuple[ViewRecord, ...]

    @property
    def empty(self) -> bool:
        """Say whether nothing is to be done."""
        return not (self.added or self.changed or self.described or self.retired)


def plan(held: Mapping[ViewRef, ViewRecord], declared: Mapping[ViewRef, ViewRecord]) -> Plan:
    """Compare what the registry holds of a team with what its package declares now."""
    added, changed, told = [], [], []
    for ref, record in declared.items():
        before = held.get(ref)
        if before is None:
            added.append(record)
            continue
        kept = replace(record, registered_at=before.registered_at, registered_by=before.registered_by)
        what = differences(before.meaning, record.meaning)
        if what:
            changed.append(Change(kept, what, before.meaning))
        elif before.state == "retired":
            added.append(kept)
        elif _description(before) != _description(record):
            told.append(kept)
    gone = [before for ref, before in held.items() if ref not in declared and before.state == "active"]
    return Plan(tuple(added), tuple(changed), tuple(told), tuple(gone))


class Objection(NamedTuple):
    """Why a version of a view cannot be changed or dropped, and what to do instead."""

    ref: ViewRef
    problem: str
    fix: str


def objections(wanted: Plan, readers: Sequence[Reader], known: Mapping[ViewRef, ViewRecord]) -> tuple[Objection, ...]:
    """Return why a plan cannot be: it changes or drops what a live model or an application reads."""
    return (*_to_changes(wanted, readers, known), *_to_drops(wanted, readers))


def refuse(reasons: Sequence[Objection]) -> None:
    """Refuse a plan to which there are objections.

    Raises:
        Refused: names each view, who reads it, and what changed; the fix names the version to give it.
    """
    if reasons:
        fixes = dict.fromkeys(objection.fix for objection in reasons)
        raise Refused("; ".join(objection.problem for objection in reasons), "; ".join(fixes))


def holders(ref: ViewRef, readers: Sequence[Reader]) -> str:
    """Name the readers that keep a view from being changed or dropped; empty when it is free."""
    return ", ".join(str(reader) for reader in readers if reader.view == ref and reader.kind in HOLDS)


def _to_changes(wanted: Plan, readers: Sequence[Reader], known: Mapping[ViewRef, ViewRecord]) -> Iterator[Objection]:
    for record, what, *_ in (change for change in wanted.changed if not change.mends):
        ref = record.ref
        if by := holders(ref, readers):
            newest = max(other.version for other in known if (other.team, other.view) == (ref.team, ref.view))
            problem = f"feature view {ref} is read by {by} and would mean something else: {', '.join(what)}"
            fix = f"declare the change as version={newest + 1} of {ref.view!r}; {_keep(ref)}"
            yield Objection(ref, problem, fix)


def _to_drops(wanted: Plan, readers: Sequence[Reader]) -> Iterator[Objection]:
    for record in wanted.retired:
        if by := holders(record.ref, readers):
            problem = f"feature view {record.ref} is read by {by} and is no longer declared"
            yield Objection(record.ref, problem, _keep(record.ref))


def _keep(ref: ViewRef) -> str:
    return (
        f"keep version {ref.version} of {ref.view!r} declared as it was, in a model's features or in "
        f"Team(features=...), until nothing reads it ('loopline features show {ref.team}/{ref.view}' tells who does)"
    )


def _description(record: ViewRecord) -> tuple[str, str, str]:
    return record.owner, record.description, record.meaning.hash
