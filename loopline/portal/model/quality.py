"""Quality section of a model's page: realised and estimated metrics of its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import version_order
from loopline.platform_core.loop.rollouts.quality_entries import REALISED, metrics
from loopline.platform_core.monitor.quality import quality_figures
from loopline.platform_core.monitor.quality.quality_figures import is_band
from loopline.platform_core.specs.quality import unit
from loopline.portal.model import bands
from loopline.portal.model.bands import BandsPart
from loopline.portal.page import Chart, Line, Point

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.specs import Model
    from loopline.portal.page_request import Portal

CHARTS = 2
"""Metrics that are drawn; all of them are in the table."""
SHOWN = 200
"""Windows of each version that are read, and points of a line."""


@dataclass(frozen=True)
class MeasuredRow:
    """A metric of a version over a window; ``segment`` "" is of all rows, ``estimated`` before labels came."""

    metric: str
    version: str
    segment: str
    until: datetime
    value: float | None
    low: float | None
    high: float | None
    rows: int
    labelled: int
    estimated: bool
    unit: str = ""
    since: datetime | None = None


Figure = quality_figures.Measured | MeasuredRow
"""As it is kept: a history has hundreds of windows with a dozen of them, of which few become rows."""


@dataclass(frozen=True)
class QualityPart:
    """Quality over time, and the newest figure of each version, segment and metric.

    ``not_estimated`` says why nothing is told before labels come, "" where it is.
    """

    charts: list[Chart]
    newest: list[MeasuredRow]
    bands: BandsPart | None
    not_estimated: str


def read(portal: Portal, ref: ModelRef) -> QualityPart | None:
    """Read everything measured of a model; None while nothing was."""
    measured = _measured(portal, ref)
    if not measured:
        return None
    model = portal.declared(ref)
    overall = [row for row in measured if not row.segment]
    metrics = list(dict.fromkeys(row.metric for row in overall))
    kept = [row for row in measured if not is_band(row.segment)]
    units = {metric: unit(model, metric) or "" for metric in dict.fromkeys(row.metric for row in measured)}
    charts = [
        replace(_chart(metric, overall), unit=units[metric], source=f"/models/{ref}/charts/quality/{place}")
        for place, metric in enumerate(metrics[:CHARTS])
    ]
    silent = model.target.not_estimated if model and model.target.estimation is None else ""
    told = [replace(row, unit=units[row.metric]) for row in _newest(kept)]
    banded = bands.newest([row for row in measured if isinstance(row, quality_figures.Measured)], _of_labels(model))
    return QualityPart(charts, told, banded, silent)


def _of_labels(model: Model | None) -> str:
    """Return the unit of a model's labels."""
    return next((one.unit for one in model.target.metrics.values() if one.unit), "") if model else ""


def _measured(portal: Portal, ref: ModelRef) -> Sequence[Figure]:
    return quality_figures.history(portal.platform, ref, newest=SHOWN) or _of_ledger(portal, ref)


def _row(one: Figure) -> MeasuredRow:
    return MeasuredRow(
        metric=one.metric,
        version=one.version,
        segment=one.segment,
        until=one.until,
        value=one.value,
        low=one.low,
        high=one.high,
        rows=one.rows,
        labelled=one.labelled,
        estimated=one.estimated,
        since=one.since,
    )


def _of_ledger(portal: Portal, ref: ModelRef) -> list[MeasuredRow]:
    """Read what the ledger kept before windows were: figures of all answers of a version so far."""
    entries = portal.platform.ledger.entries(ref, [REALISED], limit=SHOWN, newest_first=True)
    return [
        MeasuredRow(
            metric=metric,
            version=entry.version,
            segment="",
            until=entry.at,
            value=value,
            low=None,
            high=None,
            rows=entry.details["predictions"],
            labelled=entry.details["labelled"],
            estimated=False,
        )
        for entry in reversed(entries)
        for metric, value in metrics(entry.details).items()
    ]


def _chart(metric: str, rows: Sequence[Figure]) -> Chart:
    lines: dict[tuple[str, bool], list[Point]] = {}
    for row in rows:
        if row.metric == metric:
            said = "" if row.estimated else f"{row.labelled:,} of {row.rows:,} labelled"
            point = Point(row.until, row.value, row.low, row.high, said)
            lines.setdefault((row.version, row.estimated), []).append(point)
    drawn = [
        Line(
            f"version {version}{', estimated' if estimated else ''}", points[-SHOWN:], "dashed" if estimated else "line"
        )
        for (version, estimated), points in sorted(lines.items(), key=lambda item: item[1][-1].at)[-6:]
    ]
    return Chart(metric.replace("_", " "), drawn, [])


def _newest(rows: Sequence[Figure]) -> list[MeasuredRow]:
    """Keep the newest figure of each metric, version, segment and kind; the newest version first, all rows first."""
    newest = {(row.metric, row.version, row.segment, row.estimated): row for row in rows}
    return sorted(
        map(_row, newest.values()),
        key=lambda row: (-version_order(row.version)[0], row.segment, row.metric, row.estimated),
    )
