"""Runs that hang, and jobs that fail again and again for the same thing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loopline.graphql import Dagster
from loopline.watchdog.look import Bounds, Looked
from platform_core.alarms.alarm import Alarm
from platform_core.alarms.pages import Pages
from platform_core.names import ModelRef

MODEL_TAG, SOURCE_TAG, WORK_TAG = "loopline/model", "loopline/source", "loopline/work"
"""As in ``asset_defs.keys``, which a light process does not import: it imports Dagster."""
CYCLE_JOB = "loopline_cycle"
"""Its runs fail where a gate refuses a version, as they should; a cycle that cannot be run is found in the ledger."""
AT_MOST = 500
"""Runs looked at, newest first."""
UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


@dataclass(frozen=True)
class RunLooks:
    """Looks at the newest runs."""

    dagster: Dagster
    pages: Pages
    bounds: Bounds

    def look(self) -> Looked:
        """Find runs that hang, and what failed twice in a row."""
        waiting = self.dagster.runs(statuses=UNDER_WAY, limit=AT_MOST)
        since = time.time() - self.bounds.recent.total_seconds()
        ended = self.dagster.runs(statuses=("SUCCESS", "FAILURE"), limit=AT_MOST, since=since)
        return Looked((*self._hanging(waiting), *self._failing(ended)))

    def _hanging(self, runs: Sequence[Mapping[str, Any]]) -> Iterator[Alarm]:
        for run in runs:
            begun, most = self._patience(run)
            minutes = (time.time() - begun) / 60
            if minutes > most / 60:
                said = f"a run of {_what(run)} is {run['status'].lower()} for {minutes:.0f} minutes"
                fix = "open the run: end it if it hangs, or look at what the queue waits for"
                yield Alarm(
                    f"run:hangs:{run['runId']}", "error", said, fix, _subject(run), self.pages.run(run["runId"])
                )

    def _patience(self, run: Mapping[str, Any]) -> tuple[float, float]:
        """Return since when a run is in its state, and how long it may be (seconds)."""
        if run["startTime"] is None:
            return float(run["creationTime"]), self.bounds.queued
        is_training = run["tags"].get(WORK_TAG) == "training"
        return float(run["startTime"]), self.bounds.training if is_training else self.bounds.run

    def _failing(self, runs: Sequence[Mapping[str, Any]]) -> Iterator[Alarm]:
        """Take each job and subject: its newest two runs have failed."""
        by_what: dict[str, list[Mapping[str, Any]]] = {}
        for run in runs:  # newest first
            if run["jobName"] != CYCLE_JOB:
                by_what.setdefault(_what(run), []).append(run)
        for what, of_it in by_what.items():
            if [run["status"] for run in of_it[:2]] == ["FAILURE", "FAILURE"]:
                newest, said = of_it[0], f"{what} failed twice in a row"
                fix = "open the newest run: its last error says what to mend"
                yield Alarm(f"run:fails:{what}", "error", said, fix, _subject(newest), self.pages.run(newest["runId"]))


def _what(run: Mapping[str, Any]) -> str:
    about = run["tags"].get(MODEL_TAG) or run["tags"].get(SOURCE_TAG) or ""
    return f"{run['jobName']} {about}".strip()


def _subject(run: Mapping[str, Any]) -> ModelRef | None:
    team, _, model = run["tags"].get(MODEL_TAG, "").partition("/")
    if team:
        return ModelRef(team, model)
    team = run["tags"].get(SOURCE_TAG, "").partition("/")[0]
    return ModelRef(team, "") if team else None
