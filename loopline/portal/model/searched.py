"""Search section of a model's page: trials, baseline, and feature importance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.portal.page_request import Portal

_LOOKED_AT = 40


@dataclass(frozen=True)
class TrialRow:
    """One trial: ``score`` is None where it was ended early, ``share`` is how much of it is served."""

    number: int
    family: str
    score: float | None
    seconds: float
    share: float
    params: dict[str, str | float | int | bool]


@dataclass(frozen=True)
class MeasuredRow:
    """Whose metrics, on the version's own test rows."""

    who: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class ColumnRow:
    """By which share a column moves predictions, of the version and of the live one; None where it has no such."""

    name: str
    share: float
    live: float | None
    change: float | None


@dataclass(frozen=True)
class SearchPart:
    """The newest version's search and columns; ``live`` is the version that it is held against, "" for none."""

    version: str
    live: str
    beside: list[MeasuredRow]
    trials: list[TrialRow]
    columns: list[ColumnRow]


def read(portal: Portal, ref: ModelRef, live: str) -> SearchPart | None:
    """Read the newest version's; None where none tells of either."""
    entries = portal.platform.ledger.entries(ref, [REGISTERED], limit=_LOOKED_AT, newest_first=True)
    newest = next((one for one in entries if one.details.get("leaderboard") or one.details.get("importance")), None)
    if newest is None:
        return None
    before = next((one for one in entries if one.version == live and live != newest.version), None)
    return SearchPart(
        version=newest.version,
        live=before.version if before else "",
        beside=_beside(newest),
        trials=[_trial(row) for row in newest.details.get("leaderboard") or ()],
        columns=_columns(newest, before),
    )


def _beside(entry: Entry) -> list[MeasuredRow]:
    sides = {"this version": "metrics", "the live one": "champion_metrics", "the baseline": "baseline_metrics"}
    known = {who: entry.details.get(key) for who, key in sides.items()}
    return [MeasuredRow(who, _numbers(metrics)) for who, metrics in known.items() if metrics]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}


def _trial(row: Mapping[str, Any]) -> TrialRow:
    return TrialRow(row["number"], row["family"], row["score"], row["seconds"], row["weight"], dict(row["params"]))


def _columns(newest: Entry, before: Entry | None) -> list[ColumnRow]:
    """Put each column's share beside the live version's; one that only that one has comes last, with 0."""
    own = dict(newest.details.get("importance") or {})
    other = dict(before.details.get("importance") or {}) if before else {}
    rows = []
    for name in [*own, *(name for name in other if name not in own)]:
        share, live = own.get(name, 0.0), other.get(name)
        rows.append(ColumnRow(name, share, live, share - (live or 0.0) if other else None))
    return rows if own else []
