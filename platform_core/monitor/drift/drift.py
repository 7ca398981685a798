"""Drift monitor: judges windows of an endpoint's traffic by the live version's profile, and records the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import events
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.monitor.drift.alarm import Alarm, alarm
from loopline.platform_core.monitor.drift.answers import place, resumed
from loopline.platform_core.monitor.drift.days import Counted, Day, judge_days, keep
from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict, WindowVerdict
from loopline.platform_core.monitor.drift.drift_windows import WINDOW, Place, Window, entries, from_entry, judged
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.served import as_table
from loopline.platform_core.monitor.drift.traffic import traffic, with_own_answers
from loopline.platform_core.monitor.drift.window import judge_table, judge_window, lasted, profile_window

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

__all__ = ["ColumnVerdict", "Watched", "WindowVerdict", "judge_window", "last_report", "report", "watch"]

AT_MOST = 12
"""Windows judged in one call while a monitor keeps up: of many waiting rows, larger windows are made."""
AT_MOST_LATE = 60
"""Windows judged in one call of a monitor that is late, each as large as its last ones: only beyond do they grow."""
USUAL = 5
"""Newest windows whose size is the usual one."""


@dataclass(frozen=True)
class Watched:
    """What one call found: windows judged now, and the alarm that stands."""

    windows: list[WindowVerdict]
    alarm: Alarm | None


@dataclass(frozen=True)
class _Watch:
    """The live version of a model under the monitor."""

    platform: Platform
    model: Model
    ref: ModelRef
    version: str
    package: Path


def watch(platform: Platform, team: Team, model: Model) -> Watched:
    """Judge the compacted predictions of the endpoint since its last window by the profile of the stable version.

    Of several alarms the newest is returned; while nothing new is there, the one that stands.

    Raises:
        NotFound: the version's package has no profile.
    """
    on = _live(platform, team, model)
    if on is None:
        return Watched([], None)
    past, profile = _past(on), Profile.load(on.package)
    new = _judge_waiting(on, profile, past)
    ends = {window.number: window.until for window in [*past, *new]}
    days = judge_days(platform, on.ref, on.version, profile, ends)
    found = _newest_alarm(on, [*past, *new], len(new)) or _by_day(on, days)
    size, columns = (found.size, found.columns) if found else (None, ())
    events.drift(platform, on.ref, found.reason if found else "", size=size, columns=columns)
    return Watched([window.verdict for window in new], found)


def report(platform: Platform, team: Team, model: Model) -> Path | None:
    """Draw the newest judged window of the live version (seconds), once; None while none was judged."""
    on = _live(platform, team, model)
    windows = _past(on, last=1) if on else []
    return _draw(on, Profile.load(on.package), windows[-1]) if on and windows else None


def last_report(platform: Platform, team: Team, model: Model, within: int | None = None) -> Path | None:
    """Return the newest page that was drawn of the live version, of its last ``within`` windows if given."""
    on = _live(platform, team, model)
    windows = judged(platform, on.ref, on.version, last=within) if on else []
    pages = (_page(on, window) for window in reversed(windows) if on)
    return next((page for page in pages if page.exists()), None)


def _past(on: _Watch, last: int | None = None) -> list[Window]:
    """Return what ``drift_windows.judged`` does; each window ends where the rows of the next begin."""
    windows = ((from_entry(entry), entry.at) for entry in entries(on.platform, on.ref, on.version, last))
    return [replace(window, until=resumed(on.platform.lake, on.ref, window.until, at)) for window, at in windows]


def _live(platform: Platform, team: Team, model: Model) -> _Watch | None:
    ref = ModelRef(team.name, model.name)
    live = deployment(platform.ledger, ref)
    if live is None or live.stable is None:
        return None
    return _Watch(platform, model, ref, live.stable.version, _package(platform, ref, live.stable))


def _package(platform: Platform, ref: ModelRef, served: Served) -> Path:
    return packages.at_hand(platform, ref, served).package


def _judge_waiting(on: _Watch, profile: Profile, past: Sequence[Window]) -> list[Window]:
    waiting = traffic(on.platform, on.ref, on.version, profile, after := _judged_until(on))
    new: list[Window] = []
    counted: list[Counted] = []
    usual = [window.verdict.rows for window in past[-USUAL:]]
    for rows in waiting.windows(on.model.drift.min_rows, at_most(waiting.whole, usual)):
        window, number = _as_table(on, profile, rows), len(past) + len(new) + 1
        counted.append(Counted(number, place(rows), profile_window(profile, window, lasted(rows))))
        verdict = judge_table(profile, window, counted[-1].profile)
        verdict = verdict.without_words() if site_redaction.at_site(on.platform) else verdict
        verdict = replace(verdict, since=place(rows.slice(0, 1)).event_time, until=place(rows).event_time)
        new.append(Window(number, after, place(rows), verdict))
        after = new[-1].until
    keep(on.platform, on.ref, on.version, counted)  # first, so that no window of the ledger is without its counts
    for judged_now in new:
        _record(on, judged_now)
    return new


def _judged_until(on: _Watch) -> Place | None:
    """Return where the newest window of any version ends: windows of versions follow each other without a gap."""
    newest = on.platform.ledger.entries(on.ref, [WINDOW], limit=1, newest_first=True)
    return next((resumed(on.platform.lake, on.ref, from_entry(e).until, e.at) for e in newest), None)


def _as_table(on: _Watch, profile: Profile, rows: pa.Table) -> pa.Table:
    return as_table(with_own_answers(rows, on.version), profile.sample.schema)


def at_most(rows: int, usual: Sequence[int]) -> int:
    """Return how many windows to make of so many waiting rows: of more than usual, more of the usual size."""
    size = int(median(usual)) if usual else 0
    return max(AT_MOST, min(rows // size, AT_MOST_LATE)) if size else AT_MOST


def _newest_alarm(on: _Watch, windows: Sequence[Window], new: int) -> Alarm | None:
    verdicts = [window.verdict for window in windows]
    ends = range(len(verdicts), len(verdicts) - max(new, 1), -1)
    return next((found for end in ends if (found := alarm(on.model.drift, verdicts[:end]))), None)


def _by_day(on: _Watch, days: Sequence[Day]) -> Alarm | None:
    """Hold whole days against the same rule: a drift that is too small for any one window."""
    found = alarm(on.model.drift, [day.verdict for day in days])
    return replace(found, reason=f"by day: {found.reason}") if found else None


def _page(on: _Watch, window: Window) -> Path:
    return on.platform.home / "reports" / on.ref.dotted / f"{on.version}-{window.number}.html"


def _draw(on: _Watch, profile: Profile, window: Window) -> Path:
    page = _page(on, window)
    if page.exists() or on.platform.drift_report.fetch(on.ref.dotted, page):
        return page
    rows = traffic(on.platform, on.ref, on.version, profile, window.after, window.until).rows
    named = " of ".join(filter(None, (f"window {window.number}", window.verdict.dates)))
    title = f"{on.ref} version {on.version}, {named}: drift against the training set"
    page.parent.mkdir(parents=True, exist_ok=True)
    return on.platform.drift_report.render(profile.sample, _as_table(on, profile, rows), page, title)


def _record(on: _Watch, window: Window) -> None:
    """Write a window down; of two monitors that judge the same number, the first one counts."""
    drifted = ", ".join(window.verdict.drifted)
    entry = Entry(
        kind=WINDOW,
        at=on.platform.clock.now(),
        team=on.ref.team,
        model=on.ref.model,
        version=on.version,
        reason=f"drifted: {drifted}" if drifted else "quiet",
        details=asdict(window),
    )
    on.platform.ledger.record(entry, once=f"{WINDOW}:{on.ref.dotted}:{on.version}:{window.number}")
