"""Contract diff: what changes between two contracts, and whether consumers or producers break.

A contract is a promise in two directions. Whoever **consumes** rows relies on every column being there, with its type
and within its rules; whoever **produces** them relies on rows that were accepted being accepted again.

================================================  =========  =========
change                                            consumers  producers
================================================  =========  =========
optional column added
required column added                                        breaks
column dropped                                    breaks
column renamed (dropped and added)                breaks     as added
type changed                                      breaks     breaks
required → optional; rule taken away or widened   breaks
optional → required; rule added or tightened                 breaks
pattern changed (patterns cannot be ordered)      breaks     breaks
other columns are the key                         breaks     breaks
name in the file, or format of a time, changed               breaks
================================================  =========  =========

What breaks neither is additive. Each rule is compared by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract
from loopline.platform_core.specs.contracts.rule_order import Shift, shifts

Party = Literal["consumers", "producers"]
Kind = Literal["added", "dropped", "retyped", "widened", "tightened", "replaced", "resent"]
"""``replaced``: at once wider and tighter; ``resent``: to be sent under another name or in another form."""
PARTIES: dict[Kind, tuple[Party, ...]] = {
    "added": (),
    "dropped": ("consumers",),
    "retyped": ("consumers", "producers"),
    "widened": ("consumers",),
    "tightened": ("producers",),
    "replaced": ("consumers", "producers"),
    "resent": ("producers",),
}


@dataclass(frozen=True)
class Change:
    """One change of one column, in words, and for whom it breaks something."""

    column: str
    kind: Kind
    what: str
    breaks: tuple[Party, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Return ``additive``, or ``consumer-breaking`` and ``producer-breaking``."""
        return tuple(f"{party.removesuffix('s')}-breaking" for party in self.breaks) or ("additive",)


@dataclass(frozen=True)
class Diff:
    """Two contracts and every change between them, in the order of the columns."""

    old: RowContract
    new: RowContract
    changes: tuple[Change, ...]

    @property
    def breaking(self) -> bool:
        """Say whether anything breaks for anybody."""
        return any(change.breaks for change in self.changes)

    @property
    def major(self) -> bool:
        """Say whether the new contract has a larger major version."""
        return _major(self.new) > _major(self.old)

    @property
    def allowed(self) -> bool:
        """Say whether the rule holds: what breaks somebody comes with a new major version."""
        return self.major or not self.breaking


def diff(old: RowContract, new: RowContract) -> Diff:
    """Compare two contracts of the same rows.

    Raises:
        InvalidSpec: a version does not begin with a number.
    """
    _major(old), _major(new)
    before, after = ({column.name: column for column in contract.columns} for contract in (old, new))
    found = [change for name, column in before.items() for change in _changes(old, column, new, after.get(name))]
    found += [_added(old, new, column) for name, column in after.items() if name not in before]
    if old.key != new.key:
        named = ", ".join(new.key or old.key)
        found.append(_change(named, "replaced", f"key {_listed(old.key)} → {_listed(new.key)}"))
    return Diff(old, new, tuple(found))


def _changes(old: RowContract, column: Column, new: RowContract, renewed: Column | None) -> Iterator[Change]:
    if renewed is None:
        yield _change(column.name, "dropped", "column dropped")
        return
    if renewed.physical_name != column.physical_name:
        yield _change(column.name, "resent", f"in the file {column.physical_name!r} → {renewed.physical_name!r}")
    if renewed.type != column.type:  # its rules are about other values
        yield _change(column.name, "retyped", f"type {column.type} → {renewed.type}")
        return
    if renewed.format != column.format:
        yield _change(column.name, "resent", f"format {column.format or 'ISO 8601'} → {renewed.format or 'ISO 8601'}")
    for shift in shifts(old, column, new, renewed):
        yield _change(column.name, _kind(shift), shift.what)


def _added(old: RowContract, new: RowContract, column: Column) -> Change:
    """Judge a new column: who sends it already, because it was called otherwise here, need send nothing new."""
    was = next((c for c in old.columns if c.physical_name == column.physical_name), None)
    if was is None:
        broken = _required(new, column)
    else:
        alike = (was.type, was.format) == (column.type, column.format)
        broken = not alike or any(shift.tighter for shift in shifts(old, was, new, column))
    what = f"{'required' if _required(new, column) else 'optional'} column added"
    what += f" for {was.physical_name!r}, which was {was.name!r}" if was else ""
    return Change(column.name, "added", what, ("producers",) if broken else ())


def _listed(key: tuple[str, ...]) -> str:
    return ", ".join(key) or "none"


def _required(contract: RowContract, column: Column) -> bool:
    return column.required or any(r.kind == "required" and r.column == column.name for r in contract.rules)


def _kind(shift: Shift) -> Kind:
    if shift.tighter and shift.wider:
        return "replaced"
    return "tightened" if shift.tighter else "widened"


def _change(column: str, kind: Kind, what: str) -> Change:
    return Change(column, kind, what, PARTIES[kind])


def _major(contract: RowContract) -> int:
    number = contract.version.removeprefix("v").partition(".")[0]
    if not number.isdecimal():
        raise InvalidSpec(
            f"{contract.path}: version {contract.version!r} has no major number", "write it like 'version: 1.2.0'"
        )
    return int(number)
