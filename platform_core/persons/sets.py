"""Pinned training sets after an erasure: what is left of each, and from which table versions it is rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.foundation.names import DATE, ModelRef, raw_table
from loopline.platform_core.loop.erasures import REDUCED, Erasure
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.persons import place
from loopline.platform_core.persons.place import Place, Row
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.training import lake_care, training_set
from loopline.platform_core.training.assembly import Assembly
from loopline.platform_core.training.fingerprints import row_hash

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.persons.subject import Subject
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model
    from loopline.platform_core.training.training_set import TrainingSet

NOTE = "a pinned set is built from raw rows and offline rows: it is reduced when they are erased, and says so"


@dataclass(frozen=True)
class Left:
    """What was left of a training set when a person was erased."""

    training_set_id: str
    began: int
    rows: int
    row_hash: str
    rows_erased: int
    persons: int
    tables: Mapping[str, int]
    problem: str = ""


def place_of(platform: Platform, subject: Subject, model: Model) -> Place:
    """Return the rows of a model's pinned training sets as a place; they go with what they are built from."""

    def rows() -> list[Row]:
        found: list[Row] = []
        for pinned in pinned_sets(platform, subject, model):
            left = training_set.since_erasures(platform.ledger, pinned)
            table = training_set.rows(platform, subject.team, model, left)
            own = _filtered(table, _is_own(subject, table)).to_pylist()
            found += [{"_training_set": pinned.training_set_id, **row} for row in own]
        return found

    return Place(f"training sets of {subject.team.name}/{model.name}", rows, None, note=NOTE)


def pinned_sets(platform: Platform, subject: Subject, model: Model) -> list[TrainingSet]:
    """Return the training sets of a model that are still needed, each once."""
    ref = ModelRef(subject.team.name, model.name)
    entries = [e for e in lake_care.needed(platform, ref.team) if e.model == ref.model]
    every = {e.details["training_set_id"]: training_set.from_json(e.details) for e in entries}
    return list(every.values())


def reduce(platform: Platform, subject: Subject, erasure: Erasure) -> None:
    """Write down, before anything is erased, what will be left of each needed training set; once an erasure."""
    for model in subject.team.models:
        for pinned in pinned_sets(platform, subject, model):
            if _said(platform.ledger, pinned, erasure) is None:
                _record(platform, pinned, _left(platform, subject, model, pinned, erasure))


def pin_anew(platform: Platform, subject: Subject, erasure: Erasure) -> None:
    """Pin what is left of training sets to the tables as they are now, when the person is erased."""
    for model in subject.team.models:
        for pinned in pinned_sets(platform, subject, model):
            left = _said(platform.ledger, pinned, erasure)
            if left is None or left.tables:
                continue
            before = training_set.since_erasures(platform.ledger, pinned).tables
            tables = {name: _version(platform, name, before[name]) for name in pinned.tables}
            _record(platform, pinned, replace(_built(platform, subject, model, pinned, left, tables), tables=tables))


def _version(platform: Platform, table: str, before: int) -> int:
    """Return the version that a table was read at, or its newest where that one, or a file of it, is gone."""
    try:
        platform.lake.read(table, version=before, columns=[DATE])
    except NotFound:
        newest = platform.lake.version(table)
        return before if newest is None else newest
    return before


def _left(platform: Platform, subject: Subject, model: Model, pinned: TrainingSet, erasure: Erasure) -> Left:
    try:
        table = training_set.rows(platform, subject.team, model, training_set.since_erasures(platform.ledger, pinned))
    except (LooplineError, OSError) as error:  # as where it is declared otherwise by now
        persons = int(_may_know(platform, subject, model, pinned))
        return Left(pinned.training_set_id, erasure.entry_id, 0, "", 0, persons, {}, f"{error}")
    own = _is_own(subject, table)
    rest = _filtered(table, [not each for each in own])
    missing = len(table) - len(rest)
    return Left(pinned.training_set_id, erasure.entry_id, len(rest), row_hash(rest), missing, int(missing > 0), {})


def _built(  # noqa: PLR0913, PLR0917 - what is built of what, and what it is held against
    platform: Platform, subject: Subject, model: Model, pinned: TrainingSet, left: Left, tables: Mapping[str, int]
) -> Left:
    """Build what is left from the tables as they are now; what landed late since may add to it, and is told."""
    if not left.row_hash:
        return left
    try:
        pins = pinned.as_of, tables, pinned.key, pinned.left_out
        table = Assembly(platform, subject.team, model, *pins).rows().chosen(pinned.corrections)
    except (LooplineError, OSError) as error:
        return replace(left, row_hash="", problem=str(error))
    found = row_hash(table)
    if found == left.row_hash:
        return left
    said = (
        f"{len(table)} rows are built now, and {left.rows} were left: some were known late, or rest on who was erased"
    )
    return replace(left, rows=len(table), row_hash=found, problem=said)


def _may_know(platform: Platform, subject: Subject, model: Model, pinned: TrainingSet) -> bool:
    """Say whether the raw rows of a set's labels, as they were pinned, have the person; where they are gone as now."""
    source = model.labels.source
    name = raw_table(subject.team.name, source.name)
    ways = subject.columns(subject.contracts[source])
    found = place.table(platform.lake, name, name, ways)
    if found.erase is None:
        return False
    try:
        version = pinned.tables.get(name)
        whole = platform.lake.read(name, version=version, columns=[*{column for way in ways for column in way}])
    except NotFound:
        return bool(found.rows())
    return any(all(personal.text(row[c]) == key for c, key in way.items()) for row in whole.to_pylist() for way in ways)


def _is_own(subject: Subject, table: pa.Table) -> list[bool]:
    """Say of each row of a set whether it is the person's."""
    if not set(subject.entities) <= set(table.column_names):
        return [False] * len(table)
    columns = zip(*(table[entity].to_pylist() for entity in subject.entities), strict=True)
    wanted = tuple(subject.keys[entity] for entity in subject.entities)
    return [tuple(map(personal.text, key)) == wanted for key in columns]


def _filtered(table: pa.Table, stays: list[bool]) -> pa.Table:
    import pyarrow as pa

    return table.filter(pa.array(stays, pa.bool_()))


def _said(ledger: Any, pinned: TrainingSet, erasure: Erasure) -> Left | None:
    ref = ModelRef(pinned.team, pinned.model)
    told = [e.details for e in ledger.entries(ref, [REDUCED]) if e.details["training_set_id"] == pinned.training_set_id]
    own = [details for details in told if details["began"] == erasure.entry_id]
    return Left(**own[-1]) if own else None


def _record(platform: Platform, pinned: TrainingSet, left: Left) -> None:
    stage = "now" if left.tables else "left"
    said = f"{left.rows_erased} rows of {pinned.training_set_id} are erased"
    entry = Entry(REDUCED, platform.clock.now(), pinned.team, pinned.model, reason=said, details=asdict(left))
    once = f"{REDUCED}:{left.began}:{pinned.training_set_id}:{stage}"
    platform.ledger.record(entry, once)
