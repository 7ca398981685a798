"""Synthetic landings, dead letters, view extents and scorecard, for the portal's test data."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from loopline.platform_core.features.registry.extents import MATERIALIZED
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import dead_letter_table
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import LANDED, PINNED, REGISTERED
from loopline.scorecard import store
from loopline.scorecard.definitions import DEFINITIONS
from loopline.scorecard.figure import Figure

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

DAYS = 40
SCORED_DAYS = 90
OFTEN, MENDED, RARE = "amount.type", "customer.required", "row.malformed"
"""Reasons: the second is of a contract that was mended since, so that its letters land when they are replayed."""
RECORDED = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass(frozen=True)
class View:
    """A light team's view: rows that the registry would have written."""

    ref: ViewRef
    models: tuple[str, ...]


def tell(platform: Platform, rich: Sequence[str], light: Sequence[tuple[str, str]], now: datetime) -> None:
    """Write the data of teams that are told at length, and of (team, model) pairs that are many."""
    if not rich and not light:
        return
    views = _views(light)
    refs = [*(ViewRef(team, "spending", 1) for team in rich), *(view.ref for view in views)]
    teams = sorted({*rich, *(team for team, _ in light)})
    with platform.ledger.writing() as connection:
        for entries in (_landings(teams, now), _materializations(refs, now), _trainings(light, views, now)):
            rows = list(entries)
            if rows:
                connection.execute(insert(tables.entries), rows)
        if views:
            connection.execute(insert(tables.feature_views), [_registered(view, now) for view in views])
            connection.execute(
                insert(tables.feature_sources), [_source(team, now) for team in {r.team for r in refs} - {*rich}]
            )
            readers = [_reader(model, view.ref, now) for view in views for model in view.models]
            connection.execute(insert(tables.feature_readers), readers)
    for team in teams:
        dead = _letters(f"{team}/orders", now)
        platform.lake.append(dead_letter_table(team, "orders"), dead)
    store.keep(platform, _figures(["", *teams], [f"{team}/{model}" for team, model in light], now))


def broken(source: str, day: int) -> int:
    """Return how many rows of a source broke its contract on a day before the end."""
    wave = 3 + 2 * math.sin(day / 4 + len(source)) + (25 if source.startswith("shop") and day == 9 else 0)
    return max(0, round(wave))


def _landings(teams: Iterable[str], now: datetime) -> Iterator[dict[str, Any]]:
    for team in teams:
        source = f"{team}/orders"
        for day in range(DAYS, 0, -1):
            rows = [_reason(number) for number in range(broken(source, day))]
            counts = {"arrivals": 1, "rows": 900 + 40 * (day % 7), "dead": len(rows), "reasons": dict(Counter(rows))}
            details = {"source": source, "contract": "1.0.0", **counts, "first": "", "last": "", "refused": 0}
            yield _entry(team, "", LANDED, now - timedelta(days=day), "1 arrivals of orders", details)


def _materializations(refs: Iterable[ViewRef], now: datetime) -> Iterator[dict[str, Any]]:
    for place, ref in enumerate(refs):
        newest = now - timedelta(hours=2 if place % 5 else 40, minutes=place % 60)
        added = 700 + 13 * (place % 11)
        times = {"newest_event": newest.isoformat(), "newest_created": (newest + timedelta(minutes=9)).isoformat()}
        details = {"view": ref.view, "added": added, "rows": added * DAYS, **times, "table_version": DAYS}
        at = newest + timedelta(minutes=10)
        yield _entry(ref.team, str(ref.version), MATERIALIZED, at, f"{ref}: {added} rows", details)


def _trainings(light: Iterable[tuple[str, str]], views: Iterable[View], now: datetime) -> Iterator[dict[str, Any]]:
    reads: dict[str, list[str]] = {}
    for view in views:
        for model in view.models:
            reads.setdefault(model, []).append(view.ref.table)
    for team, model in light:
        at, cycle = now - timedelta(days=DAYS + 2), f"{team}.{model}-first"
        pinned = {f"{team}/raw/orders": 4, **dict.fromkeys(reads.get(f"{team}/{model}", ()), 3)}
        named = {"model": model, "cycle": cycle}
        yield _entry(team, "", PINNED, at, "", {"tables": pinned, "rows": 9000, "positives": 800}) | named
        yield _entry(team, "1", REGISTERED, at, "", {"version": "1", "metrics": {"roc_auc": 0.71}}) | named


def _views(light: Iterable[tuple[str, str]]) -> list[View]:
    """Give each model two views of its own, and each team one that all its models share, and one that nobody reads."""
    views, teams = [], {}  # type: ignore[var-annotated]
    for team, model in light:
        teams.setdefault(team, []).append(f"{team}/{model}")
        views += [View(ViewRef(team, f"{model}_{what}", 1), (f"{team}/{model}",)) for what in ("history", "shape")]
    for team, models in teams.items():
        views += [View(ViewRef(team, "customers", 1), tuple(models)), View(ViewRef(team, "trial", 1), ())]
    return views


def _registered(view: View, now: datetime) -> dict[str, Any]:
    ref, at = view.ref, now - timedelta(days=DAYS + 3)
    features = {f"{ref.view}_{number}": "double" for number in range(8)}
    plain = {"entity": "customer", "source": "orders"}
    code = [f"def view(orders):\n    return orders.with_columns({name}=nw.col('amount'))" for name in features]
    definition = {
        **plain,
        "time": "ordered_at",
        "ttl_days": 1.0,
        "served": "online",
        "features": features,
        "code": code,
    }
    digest = hashlib.sha256(json.dumps(definition).encode()).hexdigest()
    named = {"team": ref.team, "name": ref.view, "version": 1, "state": "active", "meaning": digest, **plain}
    said = {"owner": f"{ref.team} people", "description": "Orders of a customer so far.", "definition": definition}
    return named | said | {"registered_at": at, "registered_by": "platform", "changed_at": at}


def _source(team: str, now: datetime) -> dict[str, Any]:
    plain = {"contract": "orders.yaml", "contract_version": "1.0.0", "arrives": "daily", "description": ""}
    return {"team": team, "name": "orders", **plain, "changed_at": now}


def _reader(model: str, ref: ViewRef, now: datetime) -> dict[str, Any]:
    return {"kind": "model", "name": model, "contact": "", "since": now, **ref._asdict()}


def _reason(number: int) -> str:
    return MENDED if number % 4 == 1 else RARE if number % 7 == 3 else OFTEN


def _letters(source: str, now: datetime) -> Any:
    import pyarrow as pa

    from loopline.platform_core.ingestion.letters.letters import schema

    return pa.Table.from_pylist(list(_letter_rows(source, now)), schema=schema())


def _letter_rows(source: str, now: datetime) -> Iterator[dict[str, Any]]:
    for day in range(DAYS, 0, -1):
        at = now - timedelta(days=day)
        arrival = hashlib.sha256(f"{source}{day}".encode()).hexdigest()
        for number in range(broken(source, day)):
            line, reason = 2 + 31 * number, _reason(number)
            key = hashlib.sha256(f"{arrival}:{line}".encode()).hexdigest()
            where = {"letter_id": key, "name": f"orders-{at:%Y-%m-%d}.csv", "_arrival": arrival, "_line": line}
            row = json.dumps(_row(reason, at, number))
            yield where | {"reasons": [reason], "_arrived_at": at, "row": row, "_date": at.date()}


def _row(reason: str, at: datetime, number: int) -> dict[str, Any]:
    good = {"customer": str(1200 + number), "ordered_at": f"{at:%Y-%m-%d %H:%M:%S}", "amount": "7.50", "article": "cup"}
    if reason == OFTEN:
        return good | {"amount": f"{number}.50 GBP"}
    return dict.fromkeys(good) | {"_malformed": f"{1200 + number},{at:%d/%m},cup"} if reason == RARE else good


def _figures(scopes: Sequence[str], models: Sequence[str], now: datetime) -> Iterator[Figure]:
    """Give every scope its last ninety days; of models, which are many, the newest day."""
    for place, scope in enumerate(scopes):
        for number, definition in enumerate(DEFINITIONS.values()):
            for day in range(SCORED_DAYS, -1, -1):
                yield _figure(definition.name, scope, place + number, day, now)
    for place, scope in enumerate(models):
        for name in ("latency_p95", "error_rate", "cost_a_training_run", "cost_a_million_predictions"):
            yield _figure(name, scope, place, 0, now)


def _figure(name: str, scope: str, place: int, day: int, now: datetime) -> Figure:
    definition, at = DEFINITIONS[name], now - timedelta(days=day)
    if name in {"training_gpu_utilisation", "drills_caught"}:
        return Figure(name, scope, None, definition.unit, 0, definition.how, at, "there were none")
    wave = 1 + 0.2 * math.sin(day / 9 + place) + 0.04 * math.cos(day * 1.7 + place)
    share = definition.unit == "share"
    value = (min(0.92 * wave, 1.0) if definition.better == "higher" else 0.06 * wave) if share else 20 * wave
    return Figure(name, scope, round(value, 4), definition.unit, 40 + place % 50, definition.how, at)


def _entry(team: str, version: str, kind: str, at: datetime, reason: str, details: Any) -> dict[str, Any]:  # noqa: PLR0913, PLR0917 - an entry's own fields
    plain = {"model": "", "cycle": "", "actor": "platform", "unique_key": None, "recorded_at": RECORDED}
    return plain | {"kind": kind, "team": team, "version": version, "at": at, "reason": reason, "details": details}
