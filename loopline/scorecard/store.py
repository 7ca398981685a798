"""Scorecard history in the lake: one row a figure, scope and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from loopline.platform_core.foundation.names import scorecard_table
from loopline.scorecard.definitions import DEFINITIONS
from loopline.scorecard.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.platform import Platform

TABLE = scorecard_table("figures")
NEWEST_DAYS = 2
"""Days of which the newest figures are read: what only an orchestrator knows may come late on a day."""
_PLAIN = ("name", "scope", "value", "unit", "count", "at", "reason")
Key = tuple[str, str]
"""Name and scope."""


class _Held:
    """What a process has read of one version of the table: the newest figures by scope, and histories."""

    def __init__(self, version: int, newest: Mapping[str, list[Figure]]) -> None:
        self.version, self.newest = version, newest
        self.histories: dict[Key, list[Figure]] = {}
        self.scopes: set[str] = set()


_held: WeakKeyDictionary[Platform, _Held] = WeakKeyDictionary()


def latest(platform: Platform, scope: str | None = None) -> list[Figure]:
    """Return the newest figures, in the order of their definitions.

    Those of the organisation (scope "") and of all teams, or those of one scope: a team, or ``team/model``.
    """
    held = _read(platform)
    if held is None:
        return []
    if scope is not None:
        return list(held.newest.get(scope, ()))
    return [figure for name, own in held.newest.items() if "/" not in name for figure in own]


def history(platform: Platform, name: str, scope: str = "") -> list[Figure]:
    """Return a figure of a scope as it was at the end of each day, oldest first."""
    held = _read(platform)
    if held is None:
        return []
    if (name, scope) not in held.histories:
        import pyarrow as pa

        held.histories[name, scope] = sorted(
            _figures(_rows(platform.lake, name=pa.array([name]), scope=pa.array([scope]))), key=_at
        )
    return held.histories[name, scope]


def histories(platform: Platform, scope: str = "") -> dict[str, list[Figure]]:
    """Return every figure of a scope as ``history`` does, by name; one read for all of them."""
    held = _read(platform)
    if held is None:
        return {}
    if scope not in held.scopes:
        import pyarrow as pa

        found: dict[str, list[Figure]] = {}
        for figure in sorted(_figures(_rows(platform.lake, scope=pa.array([scope]))), key=_at):
            found.setdefault(figure.name, []).append(figure)
        held.histories |= {(name, scope): figures for name, figures in found.items()}
        held.scopes.add(scope)
    return {name: figures for (name, of), figures in held.histories.items() if of == scope}


def last_day(lake: Lake) -> date | None:
    """Return the newest day of which there are figures."""
    import pyarrow.compute as pc

    if lake.version(TABLE) is None:
        return None
    found: date | None = pc.max(lake.read(TABLE, columns=["day"])["day"]).as_py()
    return found


def keep(platform: Platform, figures: Iterable[Figure]) -> int:
    """Write down what is new among figures; return how many rows that were."""
    import pyarrow as pa

    lake, found = platform.lake, [_row(figure) for figure in figures]
    days = {row["day"] for row in found}
    known = {} if lake.version(TABLE) is None else _newest(_rows(lake, day=pa.array(sorted(days), pa.date32())))
    rows = [row for row in found if _measured(row) != _measured(known.get(_key(row)))]
    if rows:
        lake.append(TABLE, _table(rows))
    return len(rows)


def _read(platform: Platform) -> _Held | None:
    """Read the last days, if the table has gone on: a day's first look writes every figure, later ones what changed."""
    version = platform.lake.version(TABLE)
    if version is None:
        return None
    held = _held.get(platform)
    if held is None or held.version != version:
        days = platform.lake.read(TABLE, columns=["day"])["day"].unique().sort()
        days = days.slice(max(len(days) - NEWEST_DAYS, 0))
        held = _held[platform] = _Held(version, _by_scope(_figures(_rows(platform.lake, day=days))))
    return held


def _by_scope(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Keep the last figure of each name and scope, scopes in order and names in that of their definitions."""
    order = {name: place for place, name in enumerate(DEFINITIONS)}
    newest = {(figure.scope, order[figure.name]): figure for figure in figures}
    found: dict[str, list[Figure]] = {}
    for _, figure in sorted(newest.items(), key=lambda item: item[0]):
        found.setdefault(figure.scope, []).append(figure)
    return found


def _rows(lake: Lake, **among: pa.Array) -> list[dict[str, Any]]:
    """Read rows in the order in which they came to be said; of two looks at one instant the later one comes last."""
    found = lake.read(TABLE, among=among).sort_by([("at", "ascending"), ("written_at", "ascending")])
    return list(found.drop_columns(["written_at"]).to_pylist())


def _newest(rows: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Keep the last row of each day, name and scope."""
    return {_key(row): row for row in rows}


def _figures(rows: Iterable[dict[str, Any]]) -> list[Figure]:
    """Read figures back; one that this release does not define is left out."""
    return [
        Figure(how=DEFINITIONS[row["name"]].how, **{name: row[name] for name in _PLAIN})
        for row in _newest(rows).values()
        if row["name"] in DEFINITIONS
    ]


def _row(figure: Figure) -> dict[str, Any]:
    plain = {name: getattr(figure, name) for name in _PLAIN}
    day = (figure.at - timedelta(microseconds=1)).date()  # a day's last instant is the next one's first
    return {"day": day, "written_at": datetime.now(UTC), **plain}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["day"], row["name"], row["scope"]


def _measured(row: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    return None if row is None else (row["value"], row["unit"], row["count"], row["reason"])


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """Lay figures out; there is no ``_date``: the rows are few, and tidying may merge them across days."""
    import pyarrow as pa

    text, instant = pa.string(), pa.timestamp("us", "UTC")
    named = [("day", pa.date32()), ("name", text), ("scope", text), ("value", pa.float64()), ("unit", text)]
    schema = pa.schema([*named, ("count", pa.int64()), ("reason", text), ("at", instant), ("written_at", instant)])
    return pa.Table.from_pylist(rows, schema=schema)


def _at(figure: Figure) -> Any:
    return figure.at
