"""Drift section of a model's page: each column's score against its threshold over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from loopline.platform_core.errors import Transient
from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.drift_windows import Window, judged
from loopline.portal.page import Chart, Line, Mark, Point

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict
    from loopline.platform_core.specs.model import Drift
    from loopline.portal.page_request import Portal

SHOWN = 120
"""Windows in a picture."""
LINES = 6
"""Columns in the picture of all: those that came nearest to their thresholds."""


@dataclass(frozen=True)
class ColumnRow:
    """A column in the newest window: ``ratio`` is its score over its threshold; ``moved`` says how, in words."""

    name: str
    score: float
    threshold: float
    ratio: float
    drifted: bool
    missing_share: float
    unseen_share: float
    moved: str


@dataclass(frozen=True)
class DriftPart:
    """What the monitor found of a version. ``alarm`` says why the newest windows alarm, "" where they do not.

    ``shared`` leads to a link to the report that others can follow, "" where it is on this machine alone.
    """

    version: str
    windows: int
    since: datetime | None
    at: datetime
    rows: int
    enough: bool
    alarm: str
    column: str
    chart: Chart | None
    columns: list[ColumnRow]
    report: str
    shared: str


def read(portal: Portal, ref: ModelRef, version: str, column: str = "") -> DriftPart | None:
    """Read the windows of a version; with a ``column`` the picture is of its score and threshold alone."""
    model = portal.declared(ref)
    windows = judged(portal.platform, ref, version, last=max(SHOWN, model.drift.windows if model else 0))
    if not windows:
        return None
    newest, shown = windows[-1], windows[-SHOWN:]
    known = column if any(column in window.verdict.columns for window in shown) else ""
    found = alarm(model.drift, [window.verdict for window in windows]) if model else None
    report = _report(portal, ref, version, windows)
    kept = report and portal.platform.drift_report.place(ref.dotted, report.rpartition("/")[2])
    return DriftPart(
        version=version,
        windows=newest.number,
        since=datetime.fromisoformat(newest.verdict.since) if newest.verdict.since else None,
        at=_at(newest),
        rows=newest.verdict.rows,
        enough=newest.verdict.enough,
        alarm=found.reason if found else "",
        column=known,
        chart=_sourced(_chart(shown, known, model.drift if model else None), ref, known),
        columns=sorted((_row(*item) for item in newest.verdict.columns.items()), key=_farthest),
        report=report,
        shared=f"{report}/link" if kept else "",
    )


def _sourced(chart: Chart | None, ref: ModelRef, column: str) -> Chart | None:
    query = f"?{urlencode({'column': column})}" if column else ""
    return chart and replace(chart, source=f"/models/{ref}/charts/drift/0{query}")


def _chart(windows: Sequence[Window], column: str, rule: Drift | None) -> Chart | None:
    if not any(window.verdict.columns for window in windows):
        return None
    marks = _alarms(windows, rule) if rule else []
    if column:
        return Chart(f"{column}: score against its threshold", _column_lines(windows, column), marks, y_from=0)
    names = sorted(_columns(windows), key=lambda name: -max(_ratios(windows, name)))
    lines = [Line(name, _points(windows, name)) for name in names[:LINES]]
    bound = Line("threshold", [Point(_at(window), 1.0) for window in windows], "bound")
    title = "Score of the farthest columns, in multiples of their thresholds"
    return Chart(title, [*lines, bound], marks, "\N{MULTIPLICATION SIGN}", y_from=0)


def _column_lines(windows: Sequence[Window], column: str) -> list[Line]:
    found = [(_at(window), window.verdict.columns[column]) for window in windows if column in window.verdict.columns]
    score = Line("score", [Point(at, verdict.score, label=_verdict_label(verdict)) for at, verdict in found])
    return [score, Line("threshold", [Point(at, verdict.threshold) for at, verdict in found], "bound")]


def _points(windows: Sequence[Window], name: str) -> list[Point]:
    found = [(_at(window), window.verdict.columns[name]) for window in windows if name in window.verdict.columns]
    return [Point(at, _ratio(verdict), label=_verdict_label(verdict)) for at, verdict in found]


def _alarms(windows: Sequence[Window], rule: Drift) -> list[Mark]:
    """Mark where an alarm began: it stands from its first window to the last that still alarms."""
    marks: list[Mark] = []
    stands = False
    for end, window in enumerate(windows, 1):
        found = alarm(rule, [one.verdict for one in windows[max(0, end - rule.windows) : end]])
        if found and not stands:
            marks.append(Mark(_at(window), found.reason, "alarm"))
        stands = found is not None
    return marks


def _columns(windows: Sequence[Window]) -> set[str]:
    return {name for window in windows for name in window.verdict.columns}


def _ratios(windows: Sequence[Window], name: str) -> list[float]:
    return [_ratio(w.verdict.columns[name]) for w in windows if name in w.verdict.columns]


def _ratio(verdict: ColumnVerdict) -> float:
    return verdict.score / verdict.threshold if verdict.threshold else 0.0


def _verdict_label(verdict: ColumnVerdict) -> str:
    missing = f"missing {verdict.missing_share:.0%}" if verdict.missing_share >= 0.01 else ""  # noqa: PLR2004
    return ", ".join(filter(None, ["drifted" if verdict.drifted else "", missing]))


def _row(name: str, verdict: ColumnVerdict) -> ColumnRow:
    figures = (verdict.score, verdict.threshold, _ratio(verdict))
    shares = (verdict.missing_share, verdict.unseen_share)
    return ColumnRow(name, *figures, verdict.drifted, *shares, verdict.moved)


def _farthest(row: ColumnRow) -> tuple[bool, float]:
    return not row.drifted, -row.ratio


def _at(window: Window) -> datetime:
    at = datetime.fromisoformat(window.until.event_time)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _report(portal: Portal, ref: ModelRef, version: str, windows: Sequence[Window]) -> str:
    """Link the newest page that was drawn of the version, "" for none."""
    folder = portal.platform.home / "reports" / ref.dotted
    drawn = [f"{version}-{window.number}.html" for window in reversed(windows[-SHOWN:])]
    here = next((name for name in drawn if (folder / name).is_file()), "")
    name = here or (_elsewhere(portal, ref, drawn) if drawn else "")
    return f"/reports/{ref.dotted}/{name}" if name else ""


def _elsewhere(portal: Portal, ref: ModelRef, drawn: Sequence[str]) -> str:
    """Return the newest page that another machine drew; a store that is away stops no page of ours."""
    try:
        kept = set(portal.platform.drift_report.kept(ref.dotted))
    except Transient:
        return ""
    return next((name for name in drawn if name in kept), "")
