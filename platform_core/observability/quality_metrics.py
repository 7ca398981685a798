"""Prometheus metrics of live quality and fairness, from the newest windows.

Figures that have a unit, such as a mean error in pounds, are no ratios: they have families of their own, with the unit
as a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import RowMapping, func, select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts.quality_entries import REALISED, metrics
from loopline.platform_core.monitor.quality import quality_figures
from loopline.platform_core.monitor.quality.fairness_verdicts import Judged
from loopline.platform_core.observability.families import Family, seconds
from loopline.platform_core.observability.newest import NewestEntry, newest_entries
from loopline.platform_core.specs.quality import unit

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.specs import Model, Team

_VERSION = ("team", "model", "version")
_window, _deployed = tables.quality_windows.c, tables.deployments.c
_judged = msgspec.json.Decoder(list[Judged])


def quality_metrics(ledger: Ledger, now: datetime, teams: Sequence[Team] = ()) -> Iterator[Family]:
    """Yield every family of quality at an instant of the platform's clock; ``teams`` declare what has which unit."""
    units = _Units({(team.name, model.name): model for team in teams for model in team.models})
    yield from _realised(newest_entries(ledger, REALISED), units)
    rows = _newest_windows(ledger)
    yield from _windows(rows, now, units)
    yield from _fairness(rows, units)


class _Units(NamedTuple):
    """The models that are declared, by team and name."""

    models: Mapping[tuple[str, str], Model]

    def of(self, labels: Sequence[str], metric: str) -> str | None:
        """Return a metric's unit for a version's labels."""
        return unit(self.models.get((labels[0], labels[1])), metric)


class _Told(NamedTuple):
    """A family of ratios, and that of the same figures where they have a unit."""

    ratios: Family
    values: Family

    @classmethod
    def of(cls, name: str, said: str, labels: tuple[str, ...]) -> _Told:
        """Make both."""
        values = Family(f"{name}_value", "gauge", f"{said[:-1]}, of metrics that have a unit.", (*labels, "unit"))
        return cls(Family(f"{name}_ratio", "gauge", said, labels), values)

    def add(self, value: float | None, of: str | None, *labels: object) -> None:
        """Add a figure that is told in a unit."""
        if of is None:
            self.ratios.add(value, *labels)
        else:
            self.values.add(value, *labels, of)


def _realised(entries: list[NewestEntry], units: _Units) -> Iterator[Family]:
    value = _Told.of("loopline_quality", "Realised quality of the version.", (*_VERSION, "metric"))
    labelled = Family("loopline_quality_labelled_ratio", "gauge", "Share of its answers that have labels.", _VERSION)
    for entry in entries:
        labels, found = (entry.team, entry.model, entry.version), entry.details
        for metric, figure in metrics(entry.details).items():
            value.add(figure, units.of(labels, metric), *labels, metric)
        predictions = found.get("predictions")
        labelled.add(found["labelled"] / predictions if predictions else None, *labels)
    yield from (*value, labelled)


def _newest_windows(ledger: Ledger) -> list[RowMapping]:
    """Return the newest window of each live version."""
    stable = _deployed.stable["version"].as_string()
    same = (_window.team == _deployed.team, _window.model == _deployed.model, _window.version == stable)
    last = select(func.max(_window.since)).where(*same).correlate(tables.deployments).scalar_subquery()
    query = select(tables.quality_windows).join(tables.deployments, same[0] & same[1] & same[2])
    with ledger.reading() as connection:
        return list(connection.execute(query.where(_window.since == last)).mappings())


def _windows(rows: list[RowMapping], now: datetime, units: _Units) -> Iterator[Family]:
    names = (*_VERSION, "metric", "estimated")
    value = _Told.of("loopline_quality_window", "Quality in its newest window.", names)
    age = Family("loopline_quality_window_age_seconds", "gauge", "Since when that window is over.", _VERSION)
    for row in rows:
        labels = (row["team"], row["model"], row["version"])
        age.add(seconds(row["until"], now), *labels)
        for kept in quality_figures.decode(row["measured"]):
            if kept.segment == "":
                of = units.of(labels, kept.metric)
                value.add(kept.value, of, *labels, kept.metric, "true" if kept.estimated else "false")
    yield from (*value, age)


def _fairness(rows: list[RowMapping], units: _Units) -> Iterator[Family]:
    names = (*_VERSION, "column", "metric")
    gap = _Told.of("loopline_fairness_gap", "How far the farthest group lies from the whole.", names)
    unfair = Family("loopline_fairness_unfair", "gauge", "1 where that is proven to be more than is allowed.", names)
    for row in rows:
        for one in _judged.decode(row["fairness"]):
            labels = (row["team"], row["model"], row["version"], one.column, one.metric)
            gap.add(abs(one.gap), units.of(labels, one.metric), *labels)
            unfair.add(one.verdict == "unfair", *labels)
    yield from (*gap, unfair)
