"""Ledger entries of erased persons, by keyed pseudonyms instead of their keys.

The history of an erasure stays whole: that it began, what it found and left, and what it took out of training sets. A
later entry lets a person in again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

ERASING, ERASED, ADMITTED = "person.erasing", "person.erased", "person.admitted"
KEPT_OUT = "person.kept_out"
"""Rows of erased persons came again and did not land."""
REDUCED = "training_set.reduced"
"""What is left of a pinned training set since a person was erased, and from which versions it is built now."""


@dataclass(frozen=True)
class Erasure:
    """The erasure of one person: ``key`` is a pseudonym of the keys of ``entities``, ``entry_id`` where it began.

    ``before`` is what was found by place when it began; ``report`` the entry with which it ended, None until then.
    """

    entities: tuple[str, ...]
    key: str
    at: datetime
    entry_id: int
    before: Mapping[str, int] = field(default_factory=dict)
    report: Entry | None = None


@dataclass(frozen=True)
class Reduced:
    """A training set since the newest erasure that touched its tables.

    ``rows_erased`` and ``persons`` add up all erasures. ``tables`` are the versions from which it is built now, as far
    as they are others than those that were pinned; ``row_hash`` is "" where it could not be built when the person was
    erased.
    """

    training_set_id: str
    rows: int
    row_hash: str
    rows_erased: int
    persons: int
    tables: Mapping[str, int]
    problem: str = ""


def erasures(ledger: Ledger, team: str) -> list[Erasure]:
    """List a team's erasures, the oldest first."""
    found: dict[int, Erasure] = {}
    for entry in ledger.entries(ModelRef(team, ""), [ERASING, ERASED]):
        said = entry.details
        if entry.kind == ERASING:
            number = int(entry.entry_id or 0)
            found[number] = Erasure(tuple(said["entities"]), said["key"], entry.at, number, said["before"])
        elif (began := found.get(said["began"])) is not None:
            found[said["began"]] = Erasure(**{**vars(began), "report": entry})
    return list(found.values())


class Register(NamedTuple):
    """Whose rows do not land.

    ``persons`` says by entities and pseudonym until when a row must have happened for that; ``secrets`` tell under
    which the pseudonyms are.
    """

    persons: Mapping[tuple[str, ...], Mapping[str, datetime]]
    secrets: frozenset[str]


def kept_out(ledger: Ledger, team: str) -> Register:
    """Return who was erased and not let in again."""
    found: dict[tuple[str, ...], dict[str, datetime]] = {}
    secrets = set()
    for entry in ledger.entries(ModelRef(team, ""), [ERASING, ADMITTED]):
        own = found.setdefault(tuple(entry.details["entities"]), {})
        if entry.kind == ERASING:
            own[entry.details["key"]] = entry.at
            secrets.add(entry.details["secret"])
        else:
            own.pop(entry.details["key"], None)
    return Register({entities: own for entities, own in found.items() if own}, frozenset(secrets))


def reduced(ledger: Ledger, ref: ModelRef) -> dict[str, Reduced]:
    """Return, by id, the training sets of a model whose tables a person was taken out of since they were pinned."""
    found: dict[str, Reduced] = {}
    taken: dict[tuple[str, int], tuple[int, int]] = {}
    for entry in ledger.entries(ref, [REDUCED]):
        said: Mapping[str, Any] = entry.details
        name = said["training_set_id"]
        taken[name, said["began"]] = (said["rows_erased"], said["persons"])
        own = [counts for (other, _), counts in taken.items() if other == name]
        rows_erased, persons = (sum(counts) for counts in zip(*own, strict=True))
        left = said["rows"], said["row_hash"]
        tables = said["tables"] or (found[name].tables if name in found else {})  # while it is erased those of before
        found[name] = Reduced(name, *left, rows_erased, persons, tables, said.get("problem", ""))
    return found


def persons_of(ledger: Ledger, ref: ModelRef, version: str) -> int:
    """Count the persons on whom a version was trained and who were erased since."""
    registered = {entry.version: entry.cycle for entry in ledger.entries(ref, [REGISTERED], version=version)}
    cycle = registered.get(version)
    if cycle is None:
        return 0
    left = reduced(ledger, ref)
    if not left:
        return 0
    pinned = ledger.entries(ref, [PINNED], limit=1, cycle=cycle)
    own = left.get(str(pinned[0].details["training_set_id"])) if pinned else None
    return own.persons if own else 0
