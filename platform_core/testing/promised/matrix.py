"""Conformance matrix: which vendor keeps which promise, read statically from the test classes.

A class in ``tests/resources/<vendor>/`` that subclasses a kit says on what it runs, as data: ``tested_on``. A promise
counts as kept where such a class has every test of it; a test that the class takes away (``test_x = None``), or that
only holds for vendors that claim more, counts as not claimed. ``tests/resources/conftest.py`` holds each run to this.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from loopline.platform_core import environment
from loopline.platform_core.contracts import CONTRACTS, Vendor
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.testing.promised import kits
from loopline.platform_core.testing.promised.promises import promise_of, promises, tried_by

KINDS = ("real server", "real cluster", "emulator", "strict fake", "disk", "this machine", "this process")
"""What a vendor may be tested on: ``tested_on`` begins with one of these, and may name it after a colon."""
KEPT, NOT_CLAIMED, NOT_TESTED = "kept", "not claimed", "not tested"


@dataclass(frozen=True)
class HeldClass:
    """A class that holds a vendor to a kit: where it stands, on what it runs, and which tests it takes away.

    ``can`` is what the vendor claims as the class sets it up, None for all that it claims.
    """

    kit: kits.Kit
    vendor: str
    where: str
    name: str
    tested_on: str
    taken_away: frozenset[str] = frozenset()
    can: frozenset[str] | None = None

    def claims(self, test: str) -> bool:
        """Say whether a test of the kit runs here; one that does not is skipped."""
        if test in self.taken_away:
            return False
        needed = set(getattr(getattr(self.kit.load(), test), "claims", ())) | ({self.kit.capability} - {""})
        return needed <= (vendor_class(self.kit.contract, self.vendor).can if self.can is None else self.can)


@dataclass(frozen=True)
class Cell:
    """What the tests of a vendor say of one promise, and on what they run."""

    verdict: str
    tested_on: Sequence[str] = field(default=())

    def __str__(self) -> str:
        """Say it in a table."""
        return f"{self.verdict}: {', '.join(self.tested_on)}" if self.tested_on else self.verdict


def vendor_class(contract: str, vendor: str) -> type[Vendor]:
    """Load a vendor's class by its entry point."""
    loaded: type[Vendor] = environment.vendors(contract)[vendor].load()
    return loaded


def matrix(folder: Path) -> dict[str, dict[str, dict[int, Cell]]]:
    """Return contract, vendor, promise: what the test classes below a folder say."""
    found = list(held_classes(folder))
    return {
        contract: {vendor: _cells(contract, vendor, found) for vendor in _vendors(contract)} for contract in CONTRACTS
    }


def held_classes(folder: Path) -> Iterator[HeldClass]:
    """Yield every class that holds a vendor to a kit: those of ``<folder>/<vendor>/test_*.py``.

    Raises:
        InvalidSpec: one does not say on what it runs, or not in the words of ``KINDS``.
    """
    for file in sorted(folder.glob("*/test_*.py")):
        yield from classes_in(file)


@cache
def classes_in(file: Path) -> Sequence[HeldClass]:
    """Return the classes of one file; one that pytest is told not to collect is none."""
    by_name, found = {kit.name: kit for kit in kits.KITS}, []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in by_name]
            values = dict(_assigned(node))
            found += [_read(node, by_name[base], file) for base in bases if values.get("__test__", True)]
    return found


def _read(node: ast.ClassDef, kit: kits.Kit, file: Path) -> HeldClass:
    values = dict(_assigned(node))
    where, on = f"{file.parent.name}/{file.name}:{node.lineno}", values.get("tested_on")
    if not isinstance(on, str) or on.partition(":")[0] not in KINDS:
        raise InvalidSpec(
            f"{where}: {node.name} does not say on what it runs: tested_on is {on!r}",
            f'write tested_on = "{KINDS[0]}", or one of {", ".join(KINDS[1:])}; a name may follow after a colon',
        )
    gone = frozenset(name for name, value in values.items() if promise_of(name) and value is None)
    can = values.get("can")
    claimed = frozenset(map(str, can)) if isinstance(can, tuple) else None
    return HeldClass(kit, file.parent.name, where, node.name, on, gone, claimed)


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                yield statement.targets[0].id, ast.literal_eval(statement.value)
            except ValueError:
                continue


def _vendors(contract: str) -> list[str]:
    points = environment.vendors(contract)
    return sorted(name for name, point in points.items() if point.value.startswith("loopline.resources."))


def _cells(contract: str, vendor: str, found: Sequence[HeldClass]) -> dict[int, Cell]:
    own = [one for one in found if (one.kit.contract, one.vendor) == (contract, vendor)]
    return {number: _cell(number, own, contract, vendor) for number in promises(CONTRACTS[contract])}


def _cell(number: int, own: Sequence[HeldClass], contract: str, vendor: str) -> Cell:
    trying = {one: [name for n, name, _ in tried_by(one.kit.load()) if n == number] for one in own}
    trying = {one: names for one, names in trying.items() if names}
    if keeping := [one for one, names in trying.items() if all(map(one.claims, names))]:
        return Cell(KEPT, sorted({one.tested_on for one in keeping}))
    if trying or not _promised(number, contract, vendor):
        return Cell(NOT_CLAIMED)
    return Cell(NOT_TESTED)


def _promised(number: int, contract: str, vendor: str) -> bool:
    """Say whether a kit of which every vendor must keep this promise tries it, or one whose capability it claims."""
    can = vendor_class(contract, vendor).can
    trying = [kit for kit in kits.of(contract) if any(n == number for n, _, _ in tried_by(kit.load()))]
    return any(kit.capability in {"", *can} for kit in trying)


def counts(table: Mapping[str, Mapping[str, Mapping[int, Cell]]]) -> dict[str, int]:
    """Count cells by verdict."""
    verdicts = [cell.verdict for row in table.values() for cells in row.values() for cell in cells.values()]
    return {verdict: verdicts.count(verdict) for verdict in (KEPT, NOT_CLAIMED, NOT_TESTED)}
