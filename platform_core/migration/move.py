"""Migration run: lake, pages, registry, ledger and online rows, each compared; then the quiescence check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken, NotFound, Refused
from loopline.platform_core.migration import online_rows, pages, quiescence
from loopline.platform_core.migration.figures import Moved, MovedModel, MovedTable
from loopline.platform_core.migration.tables import TableMove, files_of
from loopline.platform_core.migration.versions import ModelMove, refuse_unable
from loopline.platform_core.training import lake_care

if TYPE_CHECKING:
    from loopline.platform_core.contracts import Lake
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team


@dataclass(frozen=True)
class Move:
    """From one environment to another; ``teams`` are those whose views can be filled online.

    ``report`` hears of each step before it is taken. Nothing is changed at the source. Whoever is killed runs it again.
    """

    source: Platform
    target: Platform
    teams: Sequence[Team]
    report: Callable[[str], None] = field(default=lambda _: None)

    def count(self) -> Moved:
        """Say what there is, what a run would copy, and what is in its way; nothing is written.

        Raises:
            Unsupported: the vendors cannot. Refused: the target has something of its own.
        """
        from loopline.platform_core.migration import ledger_rows

        tables, models = self._tables(), self._models()
        return Moved(
            tuple(self._with_pins([table.count() for table in tables], self.source.lake)),
            tuple(model.count() for model in models),
            tuple(ledger_rows.count(self.source.ledger, self.target.ledger)),
            tuple(online_rows.count(self.source, self.teams)),
            tuple(online_rows.without_team(self.source, self.teams)),
            tuple(quiescence.in_the_way(self.source, self.target)),
        )

    def run(self) -> Moved:
        """Copy what the target lacks, and hold all that is there against the source.

        Raises:
            Unsupported: the vendors cannot. Refused: something is in the way, the target has something of its own, or
            the source went on meanwhile. ContractBroken: something at the target is other than at the source.
            StoreUnavailable: a store did not answer; run it again.
        """
        from loopline.platform_core.migration import ledger_rows

        if found := quiescence.in_the_way(self.source, self.target):
            problem, _, fix = found[0].partition(" → ")
            raise Refused(problem, fix)
        before = quiescence.Standing.of(self.source)
        tables, models = self._tables(), self._models()
        moved_tables = [table.run() for table in tables]
        moved_models: list[MovedModel] = [model.run() for model in models]
        ledger = ledger_rows.run(self.source.ledger, self.target.ledger, self.report)
        views = online_rows.run(self.source, self.target, self.teams, self.report)
        before.refuse_growth(quiescence.Standing.of(self.source))
        return Moved(
            tuple(self._with_pins(moved_tables, self.target.lake)),
            tuple(moved_models),
            tuple(ledger),
            tuple(views),
            tuple(online_rows.without_team(self.source, self.teams)),
        )

    def _tables(self) -> list[TableMove]:
        source, target = files_of(self.source.lake, self.target.lake)
        newest = {table: self.source.lake.version(table) or 0 for table in self.source.lake.tables()}
        tables = [TableMove(source, target, table, version, self.report) for table, version in newest.items()]
        return [*tables, *pages.moves(self.source.event_source, self.target.event_source, self.report)]

    def _models(self) -> list[ModelMove]:
        refuse_unable(self.source.registry, self.target.registry)
        registries = self.source.registry, self.target.registry
        return [ModelMove(*registries, model, self.report) for model in self.source.registry.models()]

    def _with_pins(self, tables: Sequence[MovedTable], lake: Lake) -> list[MovedTable]:
        """Say which pinned versions can be read; what the source still has, the target must have.

        Raises:
            ContractBroken: one cannot be read at the target that can at the source.
        """
        pins = self._pins()
        found = []
        for each in tables:
            wanted = sorted(pins.get(each.table, ()))
            pinned = tuple(version for version in wanted if _is_there(self.source.lake, each.table, version))
            if missing := [version for version in pinned if not _is_there(lake, each.table, version)]:
                raise ContractBroken(
                    f"version {missing[0]} of {each.table}, which a training set pins, cannot be read at the target",
                    "see whether somebody tidied the target; move into an empty lake",
                )
            lost = tuple(version for version in wanted if version not in pinned)
            found.append(replace(each, pinned=pinned, lost=lost))
        return found

    def _pins(self) -> Mapping[str, set[int]]:
        teams = sorted({table.partition("/")[0] for table in self.source.lake.tables()})
        return {table: versions for team in teams for table, versions in lake_care.pins(self.source, team).items()}


def _is_there(lake: Lake, table: str, version: int) -> bool:
    try:
        lake.read(table, version=version, until=date.min)
    except NotFound:
        return False
    return True
