"""A past of two years in the ledger: as many rows as asked for, of as many kinds as a loop that turns leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

BEGUN = datetime(2024, 11, 25, tzinfo=UTC)
DAYS = 730
TEAMS, MODELS = 20, 40
CHUNK = 5_000
_USAGE = {"wall_seconds": 60.0, "cpu_seconds": 90.0, "memory_gb": 2.0, "cores": 2.0, "gpus": 0}
_USAGE |= {"memory_gb_seconds": 120.0, "gpu_seconds": 0.0}
_WINDOW = {"columns": {f"feature_{n}": {"score": 0.0312, "threshold": 0.1, "drifted": False} for n in range(20)}}


def write(ledger: Ledger, rows: int) -> None:
    """Fill a ledger that is empty."""
    entries = _in_order(rows)
    while chunk := list(islice(entries, CHUNK)):
        with ledger.writing() as connection:
            connection.execute(insert(tables.entries), chunk)


def _in_order(rows: int) -> Iterator[dict[str, Any]]:
    """Spread the rows of all models over the two years; a third of them are windows, which the scorecard leaves out."""
    chance, told = random.Random(7), []
    cycles = rows // (3 * 13)
    for number in range(cycles):
        told += _cycle(chance, number, BEGUN + timedelta(days=DAYS * number / cycles))
    left = rows - len(told)
    for number in range(left):
        at = BEGUN + timedelta(days=DAYS * number / left)
        told.append(_look(chance, number, at))
    return iter(sorted(told, key=lambda row: row["at"]))


def _cycle(chance: random.Random, number: int, at: datetime) -> list[dict[str, Any]]:
    model, name = chance.randrange(MODELS), f"c{number}"
    steps: list[tuple[str, float, dict[str, Any]]] = [
        ("cycle.opened", 0, {"key": name}),
        ("training_set.pinned", 0.1, {"rows": 1000}),
        ("model.registered", 0.3, {"usage": _USAGE}),
        ("gate.judged", 0.4, {"passed": True, "readings": []}),
        ("rollout.started", 0.5, {"rollout": name, "step": -1}),
        ("rollout.advanced", 0.5, {"rollout": name, "percent": 5}),
        ("rollout.advanced", 1.5, {"rollout": name, "percent": 25}),
        ("deployment.changed", 1.5, _deployed(name, number, chance)),
    ]
    end = "rolled_back" if chance.random() < 0.15 else "promoted"
    steps += [
        (f"rollout.{end}", 3, {"rollout": name, "percent": 100}),
        ("deployment.changed", 3, _deployed(name, number, chance)),
        ("deployment.arrived", 3, {"generation": number}),
        ("cycle.closed", 3, {"state": end, "hours": 3.0}),
    ]
    return [_row(kind, at + timedelta(hours=hours), model, name, details) for kind, hours, details in steps]


def _deployed(name: str, number: int, chance: random.Random) -> dict[str, Any]:
    served = {"version": name, "package": f"/packages/{name}", "cycle": name}
    findings = [{"judge": judge, "value": chance.random(), "bound": 0.5, "harm": False} for judge in ("P99", "Shift")]
    return {"stable": served, "candidate": served, "percent": 25, "generation": number, "findings": findings}


def _look(chance: random.Random, number: int, at: datetime) -> dict[str, Any]:
    model = chance.randrange(MODELS)
    if number % 2:
        return _row("drift.window", at, model, "", _WINDOW)
    if number % 4:
        return _row("skew.checked", at, model, "", {"passed": chance.random() > 0.01, "rows": 500})
    return _row("endpoint.watched", at, model, "", {"up_seconds": 86_000.0, "down_seconds": 10.0})


def _row(kind: str, at: datetime, model: int, cycle: str, details: dict[str, Any]) -> dict[str, Any]:
    named = {"team": f"team{model % TEAMS}", "model": f"model{model}", "cycle": cycle, "version": cycle}
    said = {"actor": "platform", "reason": "", "details": details, "unique_key": None}
    return {"kind": kind, "at": at, "recorded_at": at, **named, **said}
