"""Kubernetes objects made of ledger records, which kubectl and Argo CD show: models, cycles, rollouts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, and_, func, or_, select

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import fleet, freezes
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE, WATCHING

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

GROUP, VERSION = "loopline.dev", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KINDS = ("LoopModel", "LoopCycle", "LoopRollout")
_deployed, _cycle, _rollout, _alarm = tables.deployments.c, tables.cycles.c, tables.rollouts.c, tables.alarms.c
Row = RowMapping | Mapping[str, Any]
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LONGEST = 1000
Condition = tuple[bool, str, str]
"""Whether it holds, why in one word, and a sentence."""


@dataclass(frozen=True)
class Mirrored:
    """An object as it should be; ``conditions`` by type, without times and generation, which the cluster knows."""

    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    conditions: Mapping[str, Condition]

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what names it in a cluster."""
        return self.kind, self.namespace, self.name


@dataclass(frozen=True)
class _LedgerState:
    """What is known of all models, by one query each."""

    deployments: Mapping[ModelRef, RowMapping]
    cycles: Mapping[ModelRef, RowMapping]
    rollouts: Mapping[ModelRef, list[RowMapping]]
    alarms: Mapping[ModelRef, list[str]]
    frozen: Mapping[ModelRef, Entry]

    def freeze(self, ref: ModelRef) -> Entry | None:
        return self.frozen.get(freezes.EVERYTHING) or self.frozen.get(ref)


def objects(ledger: Ledger, namespace: str, elsewhere: Mapping[str, str] = MappingProxyType({})) -> Iterator[Mirrored]:
    """Give every object; ``namespace`` may hold ``{team}``, and ``elsewhere`` names other namespaces of teams."""
    found = _read(ledger)
    for ref in sorted({*found.deployments, *found.cycles, *found.rollouts}):
        place = elsewhere.get(ref.team) or namespace.format(team=_dns(ref.team))
        yield _model(ref, place, found)
        if cycle := found.cycles.get(ref):
            yield _cycle_of(ref, place, cycle)
        for rollout in found.rollouts.get(ref, []):
            yield _rollout_of(ref, place, rollout)


def newest_entry(ledger: Ledger) -> int:
    """Return the number of the ledger's last entry: while it stays, nothing that is shown has changed."""
    with ledger.reading() as connection:
        return int(connection.scalar(select(func.max(tables.entries.c.entry_id))) or 0)


def _read(ledger: Ledger) -> _LedgerState:
    last = select(func.max(_cycle.entry_id)).group_by(_cycle.team, _cycle.model)
    begun = select(_rollout.team, _rollout.model, func.max(_rollout.started_at).label("at"))
    newest = begun.group_by(_rollout.team, _rollout.model).subquery()
    same = and_(_rollout.team == newest.c.team, _rollout.model == newest.c.model, _rollout.started_at == newest.c.at)
    shown = or_(newest.c.at.is_not(None), _rollout.state.in_((*ACTIVE, WATCHING)))
    rolled: dict[ModelRef, list[RowMapping]] = {}
    wrong: dict[ModelRef, list[str]] = {}
    with ledger.reading() as connection:
        deployed = {_ref(row): row for row in connection.execute(select(tables.deployments)).mappings()}
        turned = connection.execute(select(tables.cycles).where(_cycle.entry_id.in_(last))).mappings()
        cycles = {_ref(row): row for row in turned}
        query = select(tables.rollouts).outerjoin(newest, same).where(shown)
        for row in connection.execute(query).mappings():
            rolled.setdefault(_ref(row), []).append(row)
        alarms = select(_alarm.team, _alarm.model, _alarm.problem).where(
            _alarm.standing.is_(True), _alarm.severity == "error", _alarm.model != ""
        )
        for row in connection.execute(alarms.order_by(_alarm.episode)).mappings():
            wrong.setdefault(_ref(row), []).append(row["problem"])
    return _LedgerState(deployed, cycles, rolled, wrong, fleet.freezes(ledger))


def _model(ref: ModelRef, place: str, found: _LedgerState) -> Mirrored:
    live: Row = found.deployments.get(ref, {})
    cycle = found.cycles.get(ref)
    stable, candidate = (live.get(side) or {} for side in ("stable", "candidate"))
    version, frozen, wrong = stable.get("version", ""), found.freeze(ref), found.alarms.get(ref, [])
    active = next((row for row in found.rollouts.get(ref, []) if row["state"] in ACTIVE), None)
    status = {
        "version": version,
        "candidate": candidate.get("version", ""),
        "percent": live.get("percent", 0),
        "cycle": cycle["state"] if cycle else "",
        "rollout": active["state"] if active else "",
        "frozen": f"by {frozen.actor}: {frozen.reason}" if frozen else "",
        "alarms": len(wrong),
    }
    conditions = {
        "Ready": (bool(version), "Live" if version else "NothingLive", f"version {version} is live" if version else ""),
        "Progressing": _progress(cycle, active),
        "Degraded": (bool(wrong), "Alarm" if wrong else "NoAlarm", "; ".join(wrong)[:_LONGEST]),
    }
    return Mirrored("LoopModel", place, _dns(ref.dotted), _spec(ref), status, conditions)


def _progress(cycle: Row | None, active: Row | None) -> Condition:
    if active is not None:
        held = active["state"] == "held"
        said = f"version {active['version']} at {active['percent']} percent"
        return True, "Held" if held else "RollingOut", said
    if cycle is not None and cycle["state"] == "open":
        return True, "CycleOpen", cycle["cause"][:_LONGEST]
    return False, "Idle", ""


def _cycle_of(ref: ModelRef, place: str, row: Row) -> Mirrored:
    state = row["state"]
    status = {
        "state": state,
        "cause": row["cause"][:_LONGEST],
        "verdict": row["verdict"][:_LONGEST],
        "openedAt": _time(row["opened_at"]),
        "closedAt": _time(row["closed_at"]),
    }
    conditions = {
        "Ready": (state != "open", _condition_reason(state), row["verdict"][:_LONGEST]),
        "Progressing": (state == "open", _condition_reason(state), row["cause"][:_LONGEST]),
        "Degraded": (
            state == "failed",
            _condition_reason(state),
            row["verdict"][:_LONGEST] if state == "failed" else "",
        ),
    }
    spec = {**_spec(ref), "cycle": row["cycle_id"]}
    return Mirrored("LoopCycle", place, _dns(row["cycle_id"]), spec, status, conditions)


def _rollout_of(ref: ModelRef, place: str, row: Row) -> Mirrored:
    state, active = row["state"], row["state"] in ACTIVE
    said = f"version {row['version']} at {row['percent']} percent"
    status = {
        "state": state,
        "percent": row["percent"],
        "step": row["step"],
        "startedAt": _time(row["started_at"]),
        "stepStartedAt": _time(row["step_started_at"]),
    }
    back = state == "rolled_back"
    conditions = {
        "Ready": (not active and not back, _condition_reason(state), said),
        "Progressing": (active, _condition_reason(state), said),
        "Degraded": (back, _condition_reason(state), f"version {row['version']} was taken back" if back else ""),
    }
    spec = {**_spec(ref), "cycle": row["cycle"], "version": row["version"]}
    return Mirrored("LoopRollout", place, _dns(row["rollout_id"]), spec, status, conditions)


def _spec(ref: ModelRef) -> dict[str, Any]:
    return {"team": ref.team, "model": ref.model}


def _ref(row: RowMapping) -> ModelRef:
    return ModelRef(row["team"], row["model"])


def _condition_reason(state: str) -> str:
    """Return a state as a condition's reason: ``rolled_back`` as ``RolledBack``."""
    return "".join(part.capitalize() for part in state.split("_"))


def _dns(name: str) -> str:
    """Return a name that Kubernetes takes; where more than hyphens changed, a digest keeps two names two."""
    plain = name.replace("_", "-")
    if _NAME.fullmatch(plain):
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9.-]', '-', plain.lower()).strip('.-')}-{digest}"


def _time(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
