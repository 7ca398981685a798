"""Versions section of a model's page: training set, metrics, gates, and outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.cycles.cycles import cycles
from loopline.platform_core.loop.cycles.quarantines import Window
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED, described
from loopline.platform_core.training.packaging.served_as import slow_form

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.loop.erasures import Reduced
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.portal.page_request import Portal

SHOWN = 20
"""Versions on a model's page; older ones are in the ledger below it."""
KINDS = (REGISTERED, gates.JUDGED, gates.OVERRIDDEN)


@dataclass(frozen=True)
class GateRow:
    """What one gate said of a version; ``overridden_by`` names who let a failed one pass, "" for nobody."""

    gate: str
    value: float | None
    bound: float | None
    passed: bool
    detail: str
    overridden_by: str


@dataclass(frozen=True)
class TrainingSetRow:
    """What a version learnt from: rows that can be had again bit for bit from these versions of these tables.

    But for ``erased_rows`` of ``erased_persons``, who were erased since.
    """

    training_set_id: str
    as_of: datetime
    rows: int
    described: dict[str, float]
    tables: dict[str, int]
    row_hash: str
    left_out: list[str]
    erased_persons: int
    erased_rows: int


@dataclass(frozen=True)
class VersionRow:
    """One version. ``state``: live, candidate, shadow, was_live, rejected, rolled_back, failed, or in_work.

    ``served_as`` is the form of its package, ``slow_form`` says why it is the slow one, "" where it is not.
    """

    version: str
    state: str
    registered_at: datetime
    cycle: str
    metrics: dict[str, float]
    gates: list[GateRow]
    training_set: TrainingSetRow | None
    registry_url: str
    served_as: str
    slow_form: str

    @property
    def passed(self) -> bool | None:
        """Say whether every gate lets it go on; None while none was asked."""
        return all(row.passed or row.overridden_by for row in self.gates) if self.gates else None


def read(portal: Portal, ref: ModelRef, live: Deployment | None) -> list[VersionRow]:
    """Read the newest versions, the newest first."""
    ledger = portal.platform.ledger
    entries = ledger.entries(ref, KINDS, limit=len(KINDS) * SHOWN, newest_first=True)
    pinned = {e.cycle: e.details for e in ledger.entries(ref, [PINNED], limit=2 * SHOWN, newest_first=True)}
    turns = {cycle.cycle_id: cycle for cycle in cycles(ledger, ref)}
    left = erasures.reduced(ledger, ref)
    registered = [entry for entry in entries if entry.kind == REGISTERED][:SHOWN]
    return [
        VersionRow(
            version=entry.version,
            state=_state(entry.version, live, turns.get(entry.cycle)),
            registered_at=entry.at,
            cycle=entry.cycle,
            metrics={name: value for name, value in entry.details.get("metrics", {}).items() if value is not None},
            gates=_gates(entry.version, entries),
            training_set=_training_set(pinned.get(entry.cycle), left),
            registry_url=portal.version_url(ref, entry.version),
            served_as=str(entry.details.get("package_kind", "")),
            slow_form=slow_form(entry.details),
        )
        for entry in registered
    ]


def _state(version: str, live: Deployment | None, cycle: Cycle | None) -> str:
    sides = {"live": live and live.stable, "candidate": live and live.candidate, "shadow": live and live.shadow}
    for name, served in sides.items():
        if served and served.version == version:
            return name
    if cycle is None or cycle.state == "open":
        return "in_work"
    return "was_live" if cycle.state == "promoted" else cycle.state


def _gates(version: str, entries: Sequence[Entry]) -> list[GateRow]:
    """Take the newest verdict on a version, with the overrides of that very verdict."""
    judged = next((e for e in entries if e.kind == gates.JUDGED and e.version == version), None)
    if judged is None:
        return []
    given = [e for e in entries if e.kind == gates.OVERRIDDEN and e.details["verdict"] == judged.entry_id]
    people = {e.details["gate"]: e.actor for e in given}
    return [_gate(reading, people) for reading in judged.details["readings"]]


def _gate(reading: Mapping[str, Any], people: Mapping[str, str]) -> GateRow:
    said = {name: reading[name] for name in ("gate", "value", "bound", "passed", "detail")}
    return GateRow(**said, overridden_by=people.get(reading["gate"], ""))


def _training_set(details: Mapping[str, Any] | None, left: Mapping[str, Reduced]) -> TrainingSetRow | None:
    if details is None or "training_set_id" not in details:
        return None
    names = ("training_set_id", "as_of", "rows", "tables", "row_hash")
    said: dict[str, Any] = {name: details[name] for name in names} | {"described": described(details)}
    left_out = [str(Window.from_json(window)) for window in details.get("left_out", ())]
    own = left.get(said["training_set_id"])
    said |= {"erased_persons": own.persons if own else 0, "erased_rows": own.rows_erased if own else 0}
    return TrainingSetRow(**{**said, "as_of": datetime.fromisoformat(said["as_of"]), "left_out": left_out})
