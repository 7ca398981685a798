"""Impact analysis of a contract change: the views, labels and models of a team that it reaches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loopline.platform_core.features.compute.reads import columns_read, models_of, output, readers, trial, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.features.compute.reads import Reader
    from loopline.platform_core.specs import Team
    from loopline.platform_core.specs.contracts.contract_diff import Change, Diff
    from loopline.platform_core.specs.contracts.contract_file import RowContract

MEETS = ("widened", "replaced")
"""The function runs as before, but on values that it was not written for."""


@dataclass(frozen=True)
class Impact:
    """A view or labels that a change reaches: how, and which models learn from it."""

    kind: str
    name: str
    models: tuple[str, ...]
    effect: str


def impacts(engine: Engine, team: Team, source: str, diff: Diff) -> dict[Change, tuple[Impact, ...]]:
    """Return, for each change of a source's contract, what it reaches; nothing where it reaches nothing.

    A team's package may have been written for the old contract or, in the same change, for the new one: functions run
    on the columns of both, and each change is made alone.

    Raises:
        InvalidSpec, TaskFailed: a function runs neither with the old types of columns nor with the new ones.
    """
    every = [(reader, _base(engine, reader, diff)) for reader in readers(team, source)]
    return {change: tuple(_reached(engine, team, every, diff, change)) for change in diff.changes}


def _base(engine: Engine, reader: Reader, found: Diff) -> RowContract:
    """Return a contract of every column, old or new, on which the reader runs."""
    old, new = ({column.name: column for column in contract.columns} for contract in (found.old, found.new))
    written, mended = (replace(found.old, columns=tuple(each.values())) for each in (new | old, old | new))
    try:
        output(engine, reader, written)
    except Exception:  # noqa: BLE001 - a team's own
        output(engine, reader, mended)
        return mended
    return written


def _reached(
    engine: Engine, team: Team, every: list[tuple[Reader, RowContract]], found: Diff, change: Change
) -> Iterator[Impact]:
    from loopline.platform_core.foundation.names import view_name
    from loopline.platform_core.specs import Labels

    for reader, base in every:
        effect = _effect(engine, reader, base, _Made(found, change))
        if effect:
            kind, name = ("labels", reader.name) if isinstance(reader, Labels) else ("view", view_name(reader))
            yield Impact(kind, name, models_of(team, reader), effect)


def _effect(engine: Engine, reader: Reader, base: RowContract, made: _Made) -> str:
    if made.change.kind in MEETS:
        read = made.change.column in columns_read(engine, reader, base)
        return "reads it, and may meet what it never met" if read else ""
    before, after = made.before(base), made.after(base)
    if before.columns == after.columns:  # such as another name in the file
        return ""
    try:
        return trial(engine, reader, after, output(engine, reader, before))
    except Exception:  # noqa: BLE001 - it needs the change
        return ""


@dataclass(frozen=True)
class _Made:
    """One change, undone and made on a contract that has every column."""

    found: Diff
    change: Change

    def before(self, base: RowContract) -> RowContract:
        """Return the contract without the change."""
        return self._as_in(self.found.old, base)

    def after(self, base: RowContract) -> RowContract:
        """Return the contract with it."""
        return self._as_in(self.found.new, base)

    def _as_in(self, contract: RowContract, base: RowContract) -> RowContract:
        """Give the changed column the type that it has in one contract, or leave it out if it is not there."""
        types = {column.name: column.type for column in contract.columns}
        name = self.change.column
        if name not in types:
            return without(base, name)
        columns = (replace(c, type=types[name]) if c.name == name else c for c in base.columns)
        return replace(base, columns=tuple(columns))
