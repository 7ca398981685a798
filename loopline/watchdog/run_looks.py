"""Watchdog checks of Dagster runs that hang, and jobs that fail repeatedly."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopline.graphql import Dagster
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.pages import Pages
from loopline.platform_core.foundation.names import ModelRef
from loopline.watchdog.look import Bounds, Looked

MODEL_TAG, SOURCE_TAG, WORK_TAG = "loopline/model", "loopline/source", "loopline/work"
"""As in ``loopline.asset_defs.keys``, which a light process does not import: it imports Dagster."""
CYCLE_JOB = "loopline_cycle"
"""A run of it that fails is tried again; a cycle that cannot be run is found in the ledger."""
AT_ONCE = 500
"""Runs in one answer."""
AT_MOST = 5000
"""Runs looked at, newest first; what is cut off there may hold a cause that stands."""
WAITING = ("QUEUED", "NOT_STARTED", "STARTING")
WORKING = ("STARTED", "CANCELING")
ENDED = ("SUCCESS", "FAILURE")
TWICE = 2
"""Runs in a row that fail before that is wrong."""
MOST_SUBJECTS = 100
"""Questions of one subject each in a look: each takes Dagster 50 ms where there are 50,000 runs."""
Run = Mapping[str, Any]


@dataclass(frozen=True)
class RunLooks:
    """Looks at runs that are under way for long, and at those that failed lately."""

    dagster: Dagster
    pages: Pages
    bounds: Bounds

    def look(self) -> Looked:
        """Find runs that hang, and what failed twice in a row."""
        hanging, failing = self._hanging(), self._failing()
        return Looked(hanging.alarms + failing.alarms, failing.unknown, hanging.blind + failing.blind)

    def _hanging(self) -> Looked:
        """Ask for what is old enough to hang only: however many are younger, they hide none."""
        now, soonest = time.time(), min(self.bounds.queued, self.bounds.run, self.bounds.training)
        waiting = self._runs(statuses=WAITING, before=now - self.bounds.queued)
        working = self._runs(statuses=WORKING, before=now - soonest)
        cut = max(len(waiting), len(working)) >= AT_MOST
        found = tuple(alarm for run in (*waiting, *working) for alarm in self._hangs(run))
        return Looked(found, blind=("run:hangs:",) if cut else ())

    def _runs(self, **wanted: Any) -> list[Run]:
        """Read page by page, ``AT_MOST`` runs or a few more."""
        read: list[Run] = []
        while len(read) < AT_MOST:
            page = self.dagster.runs(limit=AT_ONCE, after=read[-1]["runId"] if read else None, **wanted)
            read += page
            if len(page) < AT_ONCE:
                break
        return read

    def _hangs(self, run: Run) -> Iterator[Alarm]:
        begun, most = self._patience(run)
        minutes = (time.time() - begun) / 60
        if minutes > most / 60:
            said = f"a run of {_what(run)} is {run['status'].lower()} for {minutes:.0f} minutes"
            fix = "open the run: end it if it hangs, or look at what the queue waits for"
            page = self.pages.run(run["runId"])
            yield Alarm(f"run:hangs:{run['runId']}", "error", said, fix, _subject(run), page)

    def _patience(self, run: Run) -> tuple[float, float]:
        """Return since when a run is in its state, and how long it may be (seconds)."""
        if run["startTime"] is None:
            return float(run["creationTime"]), self.bounds.queued
        is_training = run["tags"].get(WORK_TAG) == "training"
        return float(run["startTime"]), self.bounds.training if is_training else self.bounds.run

    def _failing(self) -> Looked:
        """Take each job and subject that failed twice: did its newest two runs? Of very many, some in turn."""
        failed = self._runs(statuses=("FAILURE",), since=self._since)
        by_what: dict[str, list[Run]] = {}
        for run in failed:  # newest first
            if run["jobName"] != CYCLE_JOB:
                by_what.setdefault(_what(run), []).append(run)
        twice = {what: of_it[0] for what, of_it in by_what.items() if len(of_it) >= TWICE}
        asked = random.sample(sorted(twice), min(MOST_SUBJECTS, len(twice)))
        newest = {what: runs for what in asked if len(runs := self._newest(twice[what])) == TWICE}
        failing = [runs[0] for runs in newest.values() if {run["status"] for run in runs} == {"FAILURE"}]
        unknown = frozenset(f"run:fails:{what}" for what in set(twice) - set(newest))
        return Looked(tuple(map(self._fails, failing)), unknown, ("run:fails:",) if len(failed) >= AT_MOST else ())

    @property
    def _since(self) -> float:
        return time.time() - self.bounds.recent.total_seconds()

    def _newest(self, run: Run) -> Sequence[Run]:
        """Return the newest two that ended of a run's job and subject; Dagster cannot be asked for those of none."""
        about = {tag: run["tags"][tag] for tag in (MODEL_TAG, SOURCE_TAG) if run["tags"].get(tag)}
        most = TWICE if about else AT_ONCE
        ended = self.dagster.runs(about, ENDED, most, self._since, job=run["jobName"])
        return [one for one in ended if _what(one) == _what(run)][:TWICE]

    def _fails(self, run: Run) -> Alarm:
        what, fix = _what(run), "open the newest run: its last error says what to mend"
        page = self.pages.run(run["runId"])
        return Alarm(f"run:fails:{what}", "error", f"{what} failed twice in a row", fix, _subject(run), page)


def _what(run: Run) -> str:
    about = run["tags"].get(MODEL_TAG) or run["tags"].get(SOURCE_TAG) or ""
    return f"{run['jobName']} {about}".strip()


def _subject(run: Run) -> ModelRef | None:
    team, _, model = run["tags"].get(MODEL_TAG, "").partition("/")
    if team:
        return ModelRef(team, model)
    team = run["tags"].get(SOURCE_TAG, "").partition("/")[0]
    return ModelRef(team, "") if team else None
