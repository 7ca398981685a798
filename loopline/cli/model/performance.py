"""Command ``loopline performance``: live quality and fairness of a model's versions, by window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import declaration, opened, referenced
from loopline.platform_core.foundation.names import version_order

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.quality.fairness_verdicts import FairnessAt
    from loopline.platform_core.monitor.quality.quality_figures import Measured
    from loopline.platform_core.specs import Model

ALL = "all rows"
FIGURES = ("since", "until", "version", "segment", "rows", "labels", "estimated", "realised")
VERDICTS = ("since", "until", "version", "metric", "of", "farthest", "gap", "allowed", "verdict", "groups")


class Cell(NamedTuple):
    """What the figures of one line have in common."""

    since: str
    until: str
    version: str
    segment: str


@click.command("performance", cls=Command)
@click.argument("model")
@click.option("--metric", default="", help="Which figure; left out, what the model is searched by.")
@click.option("--segments", is_flag=True, help="Each segment as well, not all rows alone.")
@click.option("--limit", default=12, show_default=True, help="Show at most so many windows of time.")
def performance(model: str, metric: str, segments: bool, limit: int) -> Answer:
    """Show how good the versions of MODEL were live, window by window, and whether they were fair.

    Realised figures are of rows whose label has come, estimated ones of all rows: what the scores promise. Between
    brackets lies the truth in 95 of 100 cases. Nothing is measured here: the quality asset does that.
    """
    from loopline.platform_core import targets
    from loopline.platform_core.monitor.quality import fairness_verdicts, quality_figures
    from loopline.platform_core.specs.quality import unit

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        measured = quality_figures.history(platform, ref)
        fair = fairness_verdicts.history(platform, ref)
    declared = declaration(ref)
    if metric and metric not in {m.metric for m in measured}:
        targets.metric(metric)  # raises where no kind of models has it
    metric = metric or _first(declared, measured)
    own = _newest([m for m in measured if m.metric == metric and (segments or not m.segment)], limit)
    judged = _newest(fair, limit)
    silent = declared.target.not_estimated if declared and declared.target.estimation is None else ""
    data: dict[str, Any] = {"model": ref, "metric": metric, "unit": unit(declared, metric), "not_estimated": silent}
    data |= {"figures": [m._asdict() for m in own], "fairness": _fairness_rows(judged)}
    named = f"{metric} ({data['unit']})" if data["unit"] else metric
    said = _text(ref, named, own, judged)
    return Answer(data, f"{said}\n\nnothing is estimated before labels come: {silent}" if silent and own else said)


def _first(declared: Model | None, measured: Iterable[Measured]) -> str:
    """Name the metric that the model is searched by, or else the first that was measured."""
    names = dict.fromkeys(m.metric for m in measured)
    return declared.searched if declared and declared.searched in names else next(iter(names), "")


def _newest(found: Sequence[Any], limit: int) -> list[Any]:
    """Keep the last windows of time."""
    starts = sorted({one.since for one in found})[-limit:]
    return [one for one in found if one.since in starts]


def _fairness_rows(judged: Iterable[FairnessAt]) -> list[dict[str, Any]]:
    names = ("name", "value", "low", "high", "rows")
    return [
        {**f._asdict(), "groups": [{name: getattr(group, name) for name in names} for group in f.groups]}
        for f in judged
    ]


def _text(ref: ModelRef, metric: str, own: Sequence[Measured], judged: Sequence[FairnessAt]) -> str:
    if not own:
        return f"nothing of {ref} was measured yet: its quality asset does that as predictions and labels come"
    parts = [f"{metric} of {ref}", table(_lines(own), FIGURES)]
    if judged:
        ordered = sorted(judged, key=lambda f: (f.since, version_order(f.version)))
        parts.append(table([_verdict(f) for f in ordered], VERDICTS))
    return "\n\n".join(parts)


def _lines(own: Sequence[Measured]) -> list[list[Any]]:
    """Put what was estimated beside what was realised."""
    cells: dict[Cell, dict[bool, Measured]] = {}
    for m in own:
        cells.setdefault(Cell(*_days(m), m.version, m.segment or ALL), {})[m.estimated] = m
    return [_line(cell, cells[cell]) for cell in sorted(cells, key=_order)]


def _days(one: Measured | FairnessAt) -> tuple[str, str]:
    return f"{one.since:%Y-%m-%d}", f"{one.until:%Y-%m-%d}"


def _order(cell: Cell) -> tuple[str, tuple[int, str], bool, str]:
    return cell.since, version_order(cell.version), cell.segment != ALL, cell.segment


def _line(cell: Cell, found: dict[bool, Measured]) -> list[Any]:
    one = found.get(False) or found[True]
    share = one.labelled / one.rows if one.rows else 0.0
    return [*cell, one.rows, f"{share:.0%}", _figure(found.get(True)), _figure(found.get(False))]


def _figure(m: Measured | None) -> str:
    from loopline.platform_core.metrics.metric import said

    if m is None:
        return ""
    value, low, high = said(m.value, m.low, m.high)
    return f"{value} [{low}, {high}]"


def _verdict(f: FairnessAt) -> list[Any]:
    from loopline.platform_core.metrics.metric import said

    gap, low, high = said(f.gap, f.low, f.high, sign="+")
    gap = f"{gap} [{low}, {high}]"
    shares = all(abs(group.value) <= 1 for group in f.groups)
    groups = ", ".join(f"{group.name} {group.value:{'.2f' if shares else '.4g'}}" for group in f.groups)
    return [*_days(f), f.version, f.metric, f.column, f.group, gap, f.within, f.verdict, groups]
