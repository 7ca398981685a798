"""Metrics of how good live versions are, and how fair, by the newest of their windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import RowMapping, func, select

from loopline.platform_core.loop import tables
from loopline.platform_core.loop.quality_entries import FIGURES, REALISED, figures
from loopline.platform_core.monitor import quality_figures
from loopline.platform_core.monitor.fairness_verdicts import Judged
from loopline.platform_core.observability.families import Family, seconds
from loopline.platform_core.observability.newest import NewestEntry, newest_entries

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger import Ledger

_VERSION = ("team", "model", "version")
_window, _deployed = tables.quality_windows.c, tables.deployments.c
_judged = msgspec.json.Decoder(list[Judged])


def quality_metrics(ledger: Ledger, now: datetime) -> Iterator[Family]:
    """Yield every family of quality at an instant of the platform's clock."""
    yield from _realised(newest_entries(ledger, REALISED))
    rows = _newest_windows(ledger)
    yield from _windows(rows, now)
    yield from _fairness(rows)


def _realised(entries: list[NewestEntry]) -> Iterator[Family]:
    value = Family("loopline_quality_ratio", "gauge", "Realised quality of the version.", (*_VERSION, "metric"))
    labelled = Family("loopline_quality_labelled_ratio", "gauge", "Share of its answers that have labels.", _VERSION)
    for entry in entries:
        labels, found = (entry.team, entry.model, entry.version), figures(entry.details)
        for metric in FIGURES:
            value.add(found.get(metric), *labels, metric)
        predictions = found.get("predictions")
        labelled.add(found["labelled"] / predictions if predictions else None, *labels)
    yield from (value, labelled)


def _newest_windows(ledger: Ledger) -> list[RowMapping]:
    """Return the newest window of each live version."""
    stable = _deployed.stable["version"].as_string()
    same = (_window.team == _deployed.team, _window.model == _deployed.model, _window.version == stable)
    last = select(func.max(_window.since)).where(*same).correlate(tables.deployments).scalar_subquery()
    query = select(tables.quality_windows).join(tables.deployments, same[0] & same[1] & same[2])
    with ledger.reading() as connection:
        return list(connection.execute(query.where(_window.since == last)).mappings())


def _windows(rows: list[RowMapping], now: datetime) -> Iterator[Family]:
    names = (*_VERSION, "metric", "estimated")
    value = Family("loopline_quality_window_ratio", "gauge", "Quality in its newest window.", names)
    age = Family("loopline_quality_window_age_seconds", "gauge", "Since when that window is over.", _VERSION)
    for row in rows:
        labels = (row["team"], row["model"], row["version"])
        age.add(seconds(row["until"], now), *labels)
        for kept in quality_figures.decode(row["measured"]):
            if kept.segment == "":
                value.add(kept.value, *labels, kept.metric, "true" if kept.estimated else "false")
    yield from (value, age)


def _fairness(rows: list[RowMapping]) -> Iterator[Family]:
    names = (*_VERSION, "column", "metric")
    gap = Family("loopline_fairness_gap_ratio", "gauge", "How far the farthest group lies from the whole.", names)
    unfair = Family("loopline_fairness_unfair", "gauge", "1 where that is proven to be more than is allowed.", names)
    for row in rows:
        for one in _judged.decode(row["fairness"]):
            labels = (row["team"], row["model"], row["version"], one.column, one.metric)
            gap.add(abs(one.gap), *labels)
            unfair.add(one.verdict == "unfair", *labels)
    yield from (gap, unfair)
