"""Synthetic ledger of many models with a year of history, for performance tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.specs import Labels, Model, Source, Team
from loopline.platform_core.specs.views.features import FeatureView

NOW = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
ORDERS = Source("orders", "orders.v1.yaml", arrives="daily")
HISTORY = FeatureView("history", ORDERS, "customer", "at", lambda rows: rows, ttl_days=90)
TEAM = 50
LATE = Labels("late", ORDERS, ("customer",), "at", "late", "at", lambda rows: rows)


def _unfitted(*_: Any) -> Any:
    raise NotImplementedError


def model(name: str) -> Model:
    """Declare a model that nobody fits."""
    return Model(name, features=(HISTORY,), labels=LATE, fit=_unfitted)


def column(score: float, threshold: float = 0.1) -> dict[str, Any]:
    """Return a column's verdict as the ledger keeps it."""
    return {
        "method": "wasserstein",
        "score": score,
        "threshold": threshold,
        "drifted": score > threshold,
        "missing_share": 0.0,
    }


def window(*columns: dict[str, Any], rows: int = 500) -> dict[str, Any]:
    """Return a judged window as the ledger keeps it."""
    judged = {f"column_{number}": found for number, found in enumerate(columns)}
    verdict = {
        "rows": rows,
        "enough": True,
        "columns": judged,
        "since": "2011-03-01T00:00:00",
        "until": "2011-03-01T00:00:00",
    }
    return {"number": 1, "after": None, "until": ["2011-03-01T00:00:00", "r", 0], "verdict": verdict}


def many_models(folder: Path, count: int = 1_000) -> tuple[Platform, Installed]:
    """Fill a ledger with models in teams of fifty, each with cycles, verdicts, windows and its team's landings.

    A thousand models leave 80,000 entries; the caller closes the platform.
    """
    ReplayClock(folder / "clock").set(NOW)
    url = f"sqlite:///{folder}/ledger.db"
    opened = Platform(Environment("large", folder / "e.yaml", {}, url, folder / "clock", folder))
    names = [f"model_{number}" for number in range(count)]
    parts = [names[start : start + TEAM] for start in range(0, count, TEAM)]
    teams = tuple(Team(f"team_{n}", folder, models=tuple(map(model, part))) for n, part in enumerate(parts))
    with opened.ledger.writing() as connection:
        connection.execute(insert(tables.deployments), [_deployment(t.name, m.name) for t in teams for m in t.models])
        connection.execute(insert(tables.cycles), [c for t in teams for m in t.models for c in _cycles(t.name, m.name)])
        windows = [_quality(t.name, m.name) for t in teams for m in t.models]
        connection.execute(insert(tables.quality_windows), windows)
        for team in teams:
            connection.execute(insert(tables.entries), list(_entries(team)))
    return opened, Installed(teams, ())


def _deployment(team: str, name: str) -> dict[str, Any]:
    stable = {"version": "3", "package": "p", "cycle": f"{team}.{name}-3"}
    values = {"generation": 3, "applied": 3, "stable": stable, "candidate": None, "shadow": None, "percent": 0}
    return {"team": team, "model": name, "changed_at": NOW, **values}


def _quality(team: str, name: str) -> dict[str, Any]:
    metrics = ("roc_auc", "recall", "precision", "positive_rate")
    measured = json.dumps([(metric, "", 0.7, 0.6, 0.8, 900, 400, False) for metric in metrics])
    times = {"since": NOW - timedelta(days=14), "until": NOW - timedelta(days=7), "measured_at": NOW}
    return {"team": team, "model": name, "version": "3", **times, "spec": "", "measured": measured, "fairness": "[]"}


def _cycles(team: str, name: str) -> Iterator[dict[str, Any]]:
    for number in range(1, 5):
        at, state = NOW - timedelta(days=90 * (5 - number)), "open" if number == 4 else "promoted"
        closed = None if number == 4 else at + timedelta(hours=3)
        named = {"cycle_id": f"{team}.{name}-{number}", "key": str(number), "team": team, "model": name}
        told = {"cause": "drift", "state": state, "verdict": "", "drill": None, "entry_id": number}
        yield named | told | {"opened_at": at, "closed_at": closed}


def _entries(team: Team) -> Iterator[dict[str, Any]]:
    for landing in range(1_000):
        counts = {"source": f"{team.name}/orders", "arrivals": 1, "rows": 900, "dead": 3, "reasons": {"who": 3}}
        yield _entry("arrival.landed", NOW - timedelta(hours=landing), team.name, details=counts)
    for each in team.models:
        for version in ("1", "2", "3"):
            ref = (team.name, each.name, f"{team.name}.{each.name}-{version}", version)
            yield _entry("cycle.closed", NOW, *ref, details={"state": "promoted", "hours": 3.0})
            yield _entry("gate.judged", NOW, *ref, details={"passed": True, "readings": []})
            yield _entry("deployment.changed", NOW, *ref, details={"generation": int(version)})
        for number in range(48):
            details = window(*[column(0.02 * i) for i in range(20)]) if number > 45 else {"number": number}
            yield _entry("drift.window", NOW, team.name, each.name, version="3", details=details)


def _entry(  # noqa: PLR0913, PLR0917 - an entry's own fields
    kind: str, at: datetime, team: str, name: str = "", cycle: str = "", version: str = "", *, details: dict[str, Any]
) -> dict[str, Any]:
    named = {"kind": kind, "at": at, "recorded_at": at, "team": team, "model": name, "cycle": cycle}
    return named | {"version": version, "actor": "platform", "reason": "", "details": details, "unique_key": None}
