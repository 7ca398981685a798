"""Prometheus metrics of drift, skew and alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.fleet import WINDOW
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts import skews
from loopline.platform_core.observability.families import Family, seconds
from loopline.platform_core.observability.newest import NewestEntry, newest_entries
from loopline.platform_core.observability.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection

    from loopline.platform_core.loop.ledger.ledger import Ledger

_VERSION = ("team", "model", "version")
_entry, _alarm, _delivery = tables.entries.c, tables.alarms.c, tables.alarm_deliveries.c


def watch_metrics(ledger: Ledger, now: datetime) -> Iterator[Family]:
    """Yield every family about live versions at an instant of the platform's clock, and about alarms by the wall's."""
    yield _windows(ledger)
    yield from _drift(newest_entries(ledger, WINDOW), now)
    yield from _skew(newest_entries(ledger, skews.CHECKED), now)
    yield from _alarms(ledger, datetime.now(UTC))


class Windows(Totals[ModelRef, int]):
    """How many windows of each model were judged."""

    kind = WINDOW

    def sums(self, connection: Connection, after: int, *which: ColumnElement[bool]) -> dict[ModelRef, int]:
        """Count windows.

        SQLite reads all of a kind in an index's order where it can group by that; so all are grouped by columns, and
        the few after an entry by an expression, for which it looks only at these.
        """
        named = _entry.team.concat("/").concat(_entry.model)
        query = select(func.min(named), func.count()).where(*which)
        query = query.group_by(named) if after else query.group_by(_entry.team, _entry.model)
        return {ModelRef(*name.split("/")): count for name, count in connection.execute(query)}


_counted: WeakKeyDictionary[Ledger, Windows] = WeakKeyDictionary()


def _windows(ledger: Ledger) -> Family:
    judged = Family("loopline_drift_windows_total", "counter", "Windows that were judged.", ("team", "model"))
    for ref, count in sorted(_counted.setdefault(ledger, Windows()).totals(ledger).items()):
        judged.add(count, *ref)
    return judged


def _drift(entries: list[NewestEntry], now: datetime) -> Iterator[Family]:
    age = Family("loopline_drift_window_age_seconds", "gauge", "Age of the newest judged window.", _VERSION)
    rows = Family("loopline_drift_window_rows", "gauge", "Rows of the newest judged window.", _VERSION)
    watched = Family("loopline_drift_columns", "gauge", "Columns that the newest window judged.", _VERSION)
    drifted = Family("loopline_drift_columns_drifted", "gauge", "Columns that drifted in it.", _VERSION)
    worst = Family("loopline_drift_worst_ratio", "gauge", "Largest score of a column over its threshold.", _VERSION)
    for entry in entries:
        labels, verdict = (entry.team, entry.model, entry.version), entry.details["verdict"]
        columns: list[Mapping[str, Any]] = list(verdict["columns"].values())
        age.add(seconds(entry.at, now), *labels)
        rows.add(verdict["rows"], *labels)
        watched.add(len(columns), *labels)
        drifted.add(sum(bool(column["drifted"]) for column in columns), *labels)
        scores = [c["score"] / c["threshold"] for c in columns if c.get("score") is not None and c.get("threshold")]
        worst.add(max(scores, default=None), *labels)
    yield from (age, rows, watched, drifted, worst)


def _skew(entries: list[NewestEntry], now: datetime) -> Iterator[Family]:
    age = Family("loopline_skew_check_age_seconds", "gauge", "Age of the newest skew check.", _VERSION)
    rows = Family("loopline_skew_rows", "gauge", "Answered rows that it compared.", _VERSION)
    share = Family("loopline_skew_differing_ratio", "gauge", "Share of them that are otherwise offline.", _VERSION)
    for entry in entries:
        labels, count = (entry.team, entry.model, entry.version), entry.details["rows"]
        age.add(seconds(entry.at, now), *labels)
        rows.add(count, *labels)
        share.add(entry.details["differing"] / count if count else 0.0, *labels)
    yield from (age, rows, share)


def _alarms(ledger: Ledger, wall: datetime) -> Iterator[Family]:
    standing = Family(
        "loopline_alarms_standing", "gauge", "Alarms that stand.", ("team", "model", "kind", "severity", "acknowledged")
    )
    oldest = Family("loopline_alarms_oldest_age_seconds", "gauge", "Age of the oldest of them.", ("severity",))
    failing = Family("loopline_alarm_delivery_failures", "gauge", "Failed attempts of a message.", ("notifier",))
    with ledger.reading() as connection:
        rows = connection.execute(select(tables.alarms).where(_alarm.standing.is_(True))).mappings().all()
        failed = select(_delivery.notifier, func.max(_delivery.attempts)).group_by(_delivery.notifier)
        for notifier, attempts in connection.execute(failed):
            failing.add(attempts, notifier)
    counted = Counter((r["team"], r["model"], _kind(r["cause"]), r["severity"], _acknowledged(r)) for r in rows)
    for labels, count in counted.items():
        standing.add(count, *labels)
    for severity in {row["severity"] for row in rows}:
        oldest.add(seconds(min(r["raised_at"] for r in rows if r["severity"] == severity), wall), severity)
    yield from (standing, oldest, failing)


def _kind(cause: str) -> str:
    return cause.partition(":")[0]


def _acknowledged(row: Mapping[Any, Any]) -> str:
    return "true" if row["acknowledged"] else "false"
