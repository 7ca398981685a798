"""Quiescence of a migration's source: what is in progress in it, and whether it changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Refused

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


@dataclass(frozen=True)
class Standing:
    """How far an environment is: versions of tables, pages that were taken, numbers of models' versions, last entry."""

    tables: Mapping[str, int]
    models: Mapping[str, int]
    entry: int

    @classmethod
    def of(cls, platform: Platform) -> Standing:
        """Look."""
        from loopline.platform_core.migration import ledger_rows, pages

        tables = {table: platform.lake.version(table) for table in platform.lake.tables()}
        tables |= pages.taken(platform.event_source)
        models = {model: len(platform.registry.versions(model)) for model in platform.registry.models()}
        known = {table: version for table, version in tables.items() if version is not None}
        return cls(known, models, ledger_rows.newest(platform.ledger))

    def refuse_growth(self, now: Standing) -> None:
        """Refuse a source that went on while it was copied.

        Raises:
            Refused: saying where.
        """
        grown = [
            *(f"table {name}" for name in now.tables if now.tables[name] != self.tables.get(name)),
            *(f"model {name}" for name in now.models if now.models[name] != self.models.get(name)),
            *([f"the ledger, now at entry {now.entry}"] if now.entry != self.entry else []),
        ]
        if grown:
            raise Refused(
                f"the source went on meanwhile: {', '.join(grown[:3])}{' and more' if len(grown) > 3 else ''}",  # noqa: PLR2004
                "end what writes there, and run it again: only what is new is copied",
            )


def in_the_way(source: Platform, target: Platform) -> Sequence[str]:
    """Say what must end before an environment can move; each with what to do."""
    from loopline.platform_core.loop.cycles import cycles
    from loopline.platform_core.loop.rollouts import rollout_table

    found = [
        f"cycle {cycle.cycle_id} is open → wait for it, or 'loopline cycle end {cycle.cycle_id}'"
        for cycle in cycles.open_cycles(source.ledger)
    ]
    found += [
        f"version {each.version} of {each.ref} is {each.where} → wait until its rollout is over: it is judged by a "
        "prediction log that stays behind ('loopline rollout list')"
        for each in rollout_table.looked_after(source.ledger)
    ]
    return [*found, *_not_compacted(source), *_same_spool(source, target)]


def _not_compacted(source: Platform) -> list[str]:
    """Say which models have answers that are in no table of the lake yet."""
    from loopline.platform_core.monitor.quality.predictions import waiting_of

    counted = [(ref, waiting_of(source, ref)) for ref in _deployed(source)]
    return [
        f"{rows} answered rows of {ref} are in the prediction log and not in the lake → materialize its predictions, "
        "then end the platform"
        for ref, rows in counted
        if rows
    ]


def _same_spool(source: Platform, target: Platform) -> list[str]:
    spool = source.home / "spool"
    if source.home != target.home or not spool.is_dir() or not any(spool.iterdir()):
        return []
    problem = f"{spool} says how far the source's prediction log was read, and would be taken for the target's"
    return [f"{problem} → give the target a home of its own: --to-home FOLDER"]


def _deployed(source: Platform) -> list[ModelRef]:
    from sqlalchemy import select

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.tables import deployments

    with source.ledger.reading() as connection:
        return [ModelRef(*row) for row in connection.execute(select(deployments.c.team, deployments.c.model))]
