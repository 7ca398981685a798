"""Many simple live models as ledger rows, for the portal's test data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.engines.engine_tables import large_order, spending

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

TEAMS = 10
WINDOWS = 40
COLUMNS = tuple(f"feature_{number}" for number in range(20))
AT_ONCE = 20_000


def tell(platform: Platform, folder: Path, count: int, now: datetime) -> tuple[Team, ...]:
    """Write ``count`` models of ten teams: a cycle, a verdict, a deployment, and windows with labels for each."""
    if not count:
        return ()
    names: dict[str, list[str]] = {}
    for number in range(count):
        names.setdefault(f"team_{number % TEAMS}", []).append(f"model_{number:04d}")
    _write(platform, [(team, model) for team, models in names.items() for model in models], now)
    return tuple(
        Team(team, folder, tuple(Model(model, (spending,), large_order, None) for model in models), f"{team} people")  # type: ignore[arg-type]
        for team, models in names.items()
    )


def _write(platform: Platform, models: list[tuple[str, str]], now: datetime) -> None:
    with platform.ledger.writing() as connection:
        batch: list[dict[str, Any]] = []
        for place, (team, model) in enumerate(models):
            batch += _entries(team, model, place, now)
            if len(batch) > AT_ONCE:
                connection.execute(insert(tables.entries), batch)
                batch = []
        if batch:
            connection.execute(insert(tables.entries), batch)
        connection.execute(
            insert(tables.deployments), [_deployment(*one, place, now) for place, one in enumerate(models)]
        )
        connection.execute(insert(tables.cycles), [_cycle(*one, place, now) for place, one in enumerate(models)])


def _entries(team: str, model: str, place: int, now: datetime) -> Iterator[dict[str, Any]]:
    begin, cycle = now - timedelta(days=WINDOWS + 1, minutes=place), f"{team}.{model}-first"
    stable = {"version": "1", "package": f"packages/{team}.{model}/1", "cycle": cycle}
    made = {"stable": stable, "candidate": None, "shadow": None, "percent": 0, "generation": 1}
    reading = {"gate": "AtLeast(roc_auc)", "version": 1, "value": 0.7, "bound": 0.65, "passed": True, "detail": ""}
    yield _entry(team, model, "cycle.opened", begin, cycle, "", "first training", {"key": "first"})
    yield _entry(
        team, model, "gate.judged", begin, cycle, "1", "every gate passed", {"passed": True, "readings": [reading]}
    )
    yield _entry(team, model, "deployment.changed", begin, cycle, "1", "nothing was live", made)
    yield _entry(team, model, "cycle.closed", begin, cycle, "", "nothing was live", {"state": "promoted", "hours": 1.0})
    for day in range(1, WINDOWS + 1):
        at = begin + timedelta(days=day)
        drifted = day == WINDOWS and place % 9 == 0
        yield _entry(team, model, "drift.window", at, "", "1", *_window(day, at, drifted=drifted))
        figures = {"version": "1", "predictions": 900 * day, "labelled": 600 * day, "positives": 80 * day}
        auc = 0.7 + 0.1 * math.sin(place) + 0.002 * math.cos(day)
        yield _entry(team, model, "quality.realised", at, "", "1", "", figures | {"roc_auc": auc, "recall": 0.6})


def _entry(  # noqa: PLR0913, PLR0917 - an entry's own fields
    team: str, model: str, kind: str, at: datetime, cycle: str, version: str, reason: str, details: Any
) -> dict[str, Any]:
    names = {"kind": kind, "team": team, "model": model, "cycle": cycle, "version": version}
    return names | {
        "at": at,
        "recorded_at": datetime.now(UTC),
        "actor": "platform",
        "reason": reason,
        "details": details,
        "unique_key": None,
    }


def _window(day: int, at: datetime, *, drifted: bool) -> tuple[str, dict[str, Any]]:
    quiet = {"score": 0.05, "threshold": 0.1, "drifted": False, "unseen_share": 0.0, "missing_share": 0.0}
    columns = dict.fromkeys(COLUMNS, quiet) | ({COLUMNS[0]: quiet | {"score": 0.4, "drifted": True}} if drifted else {})
    since, until = (at - timedelta(days=1)).isoformat(), at.isoformat()
    verdict = {"rows": 1000, "enough": True, "columns": columns, "since": since, "until": until}
    details = {"number": day, "after": None, "until": (until, "request", 0), "verdict": verdict}
    return (f"drifted: {COLUMNS[0]}" if drifted else "quiet"), details


def _deployment(team: str, model: str, place: int, now: datetime) -> dict[str, Any]:
    stable = {"version": "1", "package": f"packages/{team}.{model}/1", "cycle": f"{team}.{model}-first"}
    named = {"team": team, "model": model, "generation": 1, "applied": 1, "percent": 0, "stable": stable}
    return named | {"candidate": None, "shadow": None, "changed_at": now - timedelta(days=WINDOWS + 1, minutes=place)}


def _cycle(team: str, model: str, place: int, now: datetime) -> dict[str, Any]:
    begin = now - timedelta(days=WINDOWS + 1, minutes=place)
    named = {"cycle_id": f"{team}.{model}-first", "key": "first", "team": team, "model": model, "entry_id": place + 1}
    said = {"cause": "first training", "state": "promoted", "verdict": "nothing was live", "drill": None}
    return named | said | {"opened_at": begin, "closed_at": begin + timedelta(hours=1)}
