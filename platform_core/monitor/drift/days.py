"""Daily drift: sums the counts of a day's windows, which the lake keeps, and judges them without the rows.

A slow drift that hides in the noise of small windows shows in a day of them. A window belongs to the day on which it
ends. What needs rows, all columns together, a day does not show.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from loopline.platform_core.foundation.names import DATE, ModelRef
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.monitor.drift.columns import AnyTally
from loopline.platform_core.monitor.drift.drift_verdicts import WindowVerdict, from_details
from loopline.platform_core.monitor.drift.drift_windows import Place
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.window import WindowProfile, judge, merge

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

DAY = "drift.day"
"""Kind of the ledger entry that a judged day leaves; its details are a ``Day``."""
FEWEST_WINDOWS = 2
"""Windows of a day below which it says nothing that its window did not."""
DAY_SECONDS = 86_400.0
SCHEMA = pa.schema(
    [
        ("version", pa.string()),
        ("number", pa.int64()),
        ("until", pa.string()),
        ("rows", pa.int64()),
        ("digest", pa.string()),
        ("tallies", pa.binary()),
        (DATE, pa.date32()),
    ]
)


@dataclass(frozen=True)
class Counted:
    """A window's number within its version, where it ends, and what was counted in it."""

    number: int
    until: Place
    profile: WindowProfile

    @property
    def day(self) -> date:
        """Return the day of its last row."""
        return datetime.fromisoformat(self.until.event_time).date()


@dataclass(frozen=True)
class Day:
    """A judged day of a version, the windows that it is the sum of, and its verdict."""

    day: date
    windows: int
    verdict: WindowVerdict


def table(ref: ModelRef) -> str:
    """Name the table of what was counted in each window."""
    return f"{ref.team}/drift/{ref.model}"


def keep(platform: Platform, ref: ModelRef, version: str, windows: Sequence[Counted]) -> None:
    """Write down what was counted; a window that two monitors write is there twice, and is read once."""
    if not windows:
        return
    rows = [
        {
            "version": version,
            "number": window.number,
            "until": msgspec.json.encode(window.until).decode(),
            "rows": window.profile.rows,
            "digest": window.profile.digest,
            "tallies": zlib.compress(msgspec.msgpack.encode(window.profile.columns)),
            DATE: window.day,
        }
        for window in windows
    ]
    platform.lake.append(table(ref), pa.Table.from_pylist(rows, SCHEMA))


def counted_windows(platform: Platform, ref: ModelRef, version: str, since: date, until: date) -> list[Counted]:
    """Read what was counted in a version's windows that end on these days, both included; in order."""
    if platform.lake.version(table(ref)) is None:
        return []
    found: pa.Table = platform.lake.read(table(ref), since=since, until=until)
    rows = {(row["number"], row["until"]): row for row in found.to_pylist() if row["version"] == version}
    return [_counted(rows[place]) for place in sorted(rows)]


def judge_days(
    platform: Platform, ref: ModelRef, version: str, profile: Profile, ends: Mapping[int, Place]
) -> list[Day]:
    """Judge the days that are over and were not judged yet; return all that are judged by now, in order.

    ``ends`` says where each window of the ledger ends. A day is over once a window ends on a later one. Days are read
    one at a time, and those with fewer windows than ``FEWEST_WINDOWS`` not at all, however long the version is live.
    """
    judged = judged_days(platform, ref, version)
    last = judged[-1].day if judged else date.min  # days are judged in order: one of before had nothing to judge
    windows = windows_by_day(ends.values())
    for day in sorted(windows)[:-1]:
        if day > last and windows[day] >= FEWEST_WINDOWS:
            counted = [w for w in counted_windows(platform, ref, version, day, day) if ends.get(w.number) == w.until]
            if found := _judge(profile, day, counted):
                if site_redaction.at_site(platform):
                    found = replace(found, verdict=found.verdict.without_words())
                _record(platform, ref, version, found)
                judged.append(found)
    return judged


def windows_by_day(ends: Iterable[Place]) -> Counter[date]:
    """Count the windows that end on each day."""
    return Counter(datetime.fromisoformat(end.event_time).date() for end in ends)


def over(windows: Sequence[Counted], profile: Profile) -> WindowVerdict | None:
    """Judge windows of any stretch of time, such as ``counted_windows`` gives, as one; None where there are none."""
    counted = {window.number: window.profile for window in windows if window.profile.digest == profile.digest}
    return judge(profile, merge(list(counted.values()))) if counted else None


def judged_days(platform: Platform, ref: ModelRef, version: str) -> list[Day]:
    """Return the days of a version that were judged, in order."""
    found = [_from_json(entry.details) for entry in platform.ledger.entries(ref, [DAY], version=version)]
    return sorted(found, key=lambda day: day.day)


def _judge(profile: Profile, day: date, windows: Sequence[Counted]) -> Day | None:
    same = [window.profile for window in windows if window.profile.digest == profile.digest]
    if len(same) < FEWEST_WINDOWS:
        return None
    return _dated(Day(day, len(same), judge(profile, replace(merge(same), seconds=DAY_SECONDS))))


def _dated(day: Day) -> Day:
    date = day.day.isoformat()
    return replace(day, verdict=replace(day.verdict, since=date, until=date))


def _record(platform: Platform, ref: ModelRef, version: str, day: Day) -> None:
    drifted = ", ".join(day.verdict.drifted)
    entry = Entry(
        kind=DAY,
        at=platform.clock.now(),
        team=ref.team,
        model=ref.model,
        version=version,
        reason=f"{day.day}: " + (f"drifted: {drifted}" if drifted else "quiet"),
        details={**asdict(day), "day": day.day.isoformat()},
    )
    platform.ledger.record(entry, once=f"{DAY}:{ref.dotted}:{version}:{day.day}")


def _counted(row: Mapping[str, Any]) -> Counted:
    columns = msgspec.msgpack.decode(zlib.decompress(row["tallies"]), type=dict[str, AnyTally])
    until = Place(*msgspec.json.decode(row["until"]))
    return Counted(row["number"], until, WindowProfile(row["digest"], row["rows"], columns))


def _from_json(details: Mapping[str, Any]) -> Day:
    return _dated(Day(date.fromisoformat(details["day"]), details["windows"], from_details(details["verdict"])))
