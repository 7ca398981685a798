"""Commands ``loopline drift show`` and ``ui``: drift verdicts, and the pages in the vendor's interface."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import declared, live_version, opened, referenced

if TYPE_CHECKING:
    from loopline.platform_core.monitor.drift.alarm import Alarm
    from loopline.platform_core.monitor.drift.drift_verdicts import WindowVerdict
    from loopline.platform_core.platform import Platform

Named = tuple[str, "WindowVerdict"]
"""A window or day, and its verdict."""
MENTIONED = 5
"""Versions that are named where one does not exist."""
HEADER = ("window", "rows", "column", "kind", "score", "threshold", "how it moved")


@click.command("show", cls=Command)
@click.argument("model")
@click.option("--version", help="A model version; the live one when left out.")
@click.option("--last", type=click.IntRange(min=1), default=3, show_default=True, help="So many windows, or days.")
@click.option("--days", is_flag=True, help="Whole days instead of windows.")
@click.option("--all", "every", is_flag=True, help="The columns that did not drift as well.")
def show(model: str, version: str | None, last: int, days: bool, every: bool) -> Answer:
    """Tell how MODEL's newest windows, or days, were judged, and by which columns."""
    from loopline.platform_core.monitor.drift.alarm import alarm

    with opened(only=()) as platform:
        ref = referenced(platform, model)
        number = version or live_version(platform, ref)
        _known(platform, ref, number)
        windows = _windows(platform, ref, number)
        found = _days(platform, ref, number) if days else windows
        nothing = _no_day(platform, ref, number) if days and windows else "nothing was judged yet"
    stands = alarm(declared(str(ref))[1].drift, [verdict for _, verdict in found])
    shown = found[-last:]
    data = {
        "model": ref,
        "version": number,
        "alarm": stands.reason if stands else "",
        "windows": [
            {"window": name, "since": one.since, "until": one.until, "rows": one.rows, "columns": one.columns}
            for name, one in shown
        ],
    }
    if not days:
        shown = [(f"{name} ({one.dates})", one) for name, one in shown]
    judged = f"{_table(shown, every)}\n{_alarm_line(stands)}" if shown else nothing
    return Answer(data, f"{ref} version {number}\n{judged}")


@click.command("ui", cls=Command)
@click.option("--port", type=click.IntRange(1, 65_535), default=8_765, show_default=True, help="Of this machine.")
def ui(port: int) -> Answer:
    """Open the pages that were drawn in the interface of the vendor that drew them; ends with Ctrl+C."""
    with opened(only=("drift_report",)) as platform:
        command = list(platform.drift_report.browser(port))
    click.echo(f"http://127.0.0.1:{port}", err=True)
    with contextlib.suppress(KeyboardInterrupt):
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - what the bound vendor asks for
        return Answer({"port": port, "exit_code": code}, f"it ended with {code}", exit_code=int(code != 0))
    return Answer({"port": port, "exit_code": 0}, "ended")


def _known(platform: Platform, ref: Any, version: str) -> None:
    """Refuse a version of which the ledger never heard.

    Raises:
        NotFound: there is none.
    """
    from loopline.platform_core.errors import NotFound

    if platform.ledger.entries(ref, version=version, limit=1):
        return
    known = sorted(
        {entry.version for entry in platform.ledger.entries(ref) if entry.version}, key=lambda v: (len(v), v)
    )
    have = f"it has {', '.join(known[-MENTIONED:])}" if known else "none was trained yet"
    raise NotFound(f"{ref} has no version {version!r}", f"{have}; see 'loopline history {ref}'")


def _no_day(platform: Platform, ref: Any, version: str) -> str:
    """Say why no day was judged although windows were."""
    from loopline.platform_core.monitor.drift.days import FEWEST_WINDOWS, windows_by_day
    from loopline.platform_core.monitor.drift.drift_windows import judged

    fullest = max(windows_by_day(window.until for window in judged(platform, ref, version)).values())
    return (
        f"no day was judged: a day is judged once it is over, as the sum of its windows, of which it needs "
        f"{FEWEST_WINDOWS}; the fullest day so far has {fullest}"
    )


def _windows(platform: Platform, ref: Any, version: str) -> list[Named]:
    from loopline.platform_core.monitor.drift.drift_windows import judged

    return [(str(window.number), window.verdict) for window in judged(platform, ref, version)]


def _days(platform: Platform, ref: Any, version: str) -> list[Named]:
    from loopline.platform_core.monitor.drift.days import judged_days

    return [(day.day.isoformat(), day.verdict) for day in judged_days(platform, ref, version)]


def _table(shown: list[Named], every: bool) -> str:
    return table([line for name, verdict in shown for line in _lines(name, verdict, every)], HEADER)


def _lines(name: str, verdict: WindowVerdict, every: bool) -> Iterator[tuple[Any, ...]]:
    wanted = verdict.columns if every else verdict.drifted
    if not wanted:
        yield (name, verdict.rows, "quiet", "", "", "", "")
    for column in wanted:
        found = verdict.columns[column]
        moved = found.moved or (f"missing {found.missing_share:.0%}" if found.score < found.threshold else "")
        yield (name, verdict.rows, column, found.kind, f"{found.score:.3f}", f"{found.threshold:.3f}", moved)


def _alarm_line(stands: Alarm | None) -> str:
    return f"alarm: {stands.reason}" if stands else "no alarm"
