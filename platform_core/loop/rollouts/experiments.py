"""Experiments in the ledger: a rollout that is kept at its split until there is a verdict.

An experiment is written down in the transaction in which its rollout begins, or while that runs; its one verdict comes
with ``experiment.ended``. Between the two, and until the verdict is carried out, its rollout goes no further. A
rollout that ends otherwise (harm, a person) ends its experiment in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry, append, newest
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.specs.model import Model

STARTED, LOOKED, ENDED = "experiment.started", "experiment.looked", "experiment.ended"
Does = Literal["promote", "roll_back", "hold", "nothing"]


@dataclass(frozen=True)
class End:
    """The one verdict of an experiment, why, and what becomes of the rollout."""

    verdict: str
    reason: str
    does: Does
    at: datetime
    actor: str


@dataclass(frozen=True)
class Standing:
    """An experiment of a rollout: between ``stable`` and ``version``, as it was ``settled`` when it began.

    ``settled`` is JSON: names and numbers; the label functions of its outcomes are those that the model declares now.
    """

    rollout_id: str
    ref: ModelRef
    cycle: str
    version: str
    stable: str
    settled: Mapping[str, Any]
    started_at: datetime
    actor: str
    reason: str
    end: End | None = None

    @property
    def name(self) -> str:
        """Return the experiment's name."""
        return str(self.settled["name"])

    @property
    def percent(self) -> int:
        """Return the share of entities that meet the candidate."""
        return int(self.settled["percent"])

    @property
    def keeps(self) -> str:
        """Say why its rollout goes no further, "" where it may."""
        if self.end is None:
            return f"experiment {self.name} runs"
        return f"experiment {self.name} ended: {self.end.verdict}" if self.end.does == "roll_back" else ""


def of(ledger: Ledger, record: RolloutRecord) -> Standing | None:
    """Return the experiment of a rollout."""
    entries = ledger.entries(record.ref, [STARTED, ENDED], version=record.version)
    return next((one for one in _standings(entries) if one.rollout_id == record.rollout_id), None)


def every(ledger: Ledger, ref: ModelRef) -> list[Standing]:
    """Return the experiments of a model, the newest first."""
    return _standings(ledger.entries(ref, [STARTED, ENDED]))[::-1]


def looks(ledger: Ledger, one: Standing) -> list[Entry]:
    """Return what was seen of an experiment, oldest first."""
    found = ledger.entries(one.ref, [LOOKED], version=one.version)
    return [entry for entry in found if entry.details["rollout"] == one.rollout_id]


def stops(ledger: Ledger, record: RolloutRecord) -> str:
    """Say which experiment keeps a rollout at its split, "" for none; until there it goes step by step."""
    one = of(ledger, record)
    return one.keeps if one and record.percent == one.percent else ""


def with_split(ledger: Ledger, record: RolloutRecord, model: Model) -> Model:
    """Return a model whose rollout stops at the split of its experiment, where it has one."""
    one = of(ledger, record) if record.state in ACTIVE else None
    return split_at(model, one.percent) if one else model


def split_at(model: Model, percent: int) -> Model:
    """Return a model whose rollout takes its steps below a percent, that one, and those above."""
    before, after = ([p for p in model.rollout.percents if which(p)] for which in (percent.__gt__, percent.__lt__))
    return replace(model, rollout=replace(model.rollout, percents=(*before, percent, *after)))


def begin(connection: Connection, one: Standing) -> None:
    """Write an experiment down, in a transaction; of two at once the first counts."""
    details = {"rollout": one.rollout_id, "stable": one.stable, "settled": dict(one.settled)}
    told = (one.started_at, *one.ref, one.cycle, one.version, one.actor, one.reason, details)
    append(connection, Entry(STARTED, *told), once=f"{STARTED}:{one.rollout_id}")


def close(connection: Connection, one: Standing, end: End, figures: Mapping[str, Any] | None = None) -> None:
    """Write the verdict of an experiment down, in a transaction; the first one counts."""
    details = {"rollout": one.rollout_id, "verdict": end.verdict, "does": end.does, **(figures or {})}
    told = (end.at, *one.ref, one.cycle, one.version, end.actor, end.reason, details)
    append(connection, Entry(ENDED, *told), once=f"{ENDED}:{one.rollout_id}")


def close_with(connection: Connection, record: RolloutRecord, reason: str, actor: str, now: datetime) -> None:
    """End the experiment of a rollout that ends, if it has one that runs, in the same transaction."""
    last = newest(connection, record.ref, (STARTED, ENDED), record.version)
    if last is None or last.kind == ENDED or last.details["rollout"] != record.rollout_id:
        return
    who = "the judges" if actor == "platform" else actor
    close(connection, _standing(last), End(f"stopped by {who}", reason, "nothing", now, actor))


def _standings(entries: list[Entry]) -> list[Standing]:
    found: dict[str, Standing] = {}
    for entry in entries:
        rollout = entry.details["rollout"]
        if entry.kind == STARTED:
            found[rollout] = _standing(entry)
        elif rollout in found:
            end = End(entry.details["verdict"], entry.reason, entry.details["does"], entry.at, entry.actor)
            found[rollout] = replace(found[rollout], end=end)
    return list(found.values())


def _standing(entry: Entry) -> Standing:
    return Standing(
        rollout_id=entry.details["rollout"],
        ref=ModelRef(entry.team, entry.model),
        cycle=entry.cycle,
        version=entry.version,
        stable=entry.details["stable"],
        settled=entry.details["settled"],
        started_at=entry.at,
        actor=entry.actor,
        reason=entry.reason,
    )
