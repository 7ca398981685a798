"""Watchdog check of Dagster's health: web server, daemons, code locations, sensors, schedules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loopline.graphql import Dagster, Location, repository
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.pages import Pages
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import ModelRef
from loopline.watchdog.look import Bounds, Looked

INTERVALS = 5
"""Ticks that a sensor may miss."""
TWICE = 2
"""Ticks in a row after which one that fails is wrong."""
UNREACHABLE = "DagsterUserCodeUnreachableError"
"""A tick's failure while a code server starts again; if it stays away, the team's location says so."""
UNAVAILABLE = "StatusCode.UNAVAILABLE"
"""How gRPC's own error says the same of a location."""
LATE_SECONDS = 600
"""How much later than planned a schedule may tick."""
AUTOMATION = """
query ($repository: RepositorySelector!, $now: Float!) {repositoryOrError(repositorySelector: $repository) {
  ... on Repository {
    sensors {name minIntervalSeconds defaultStatus sensorState {...State}}
    schedules {name defaultStatus potentialTickTimestamps(startTimestamp: $now, upperLimit: 0, lowerLimit: 2)
      scheduleState {...State}}}
  ... on PythonError {message}}}
fragment State on InstigationState {
  status typeSpecificData {... on ScheduleData {startTimestamp}}
  good: ticks(limit: 1, statuses: [STARTED, SKIPPED, SUCCESS]) {timestamp endTimestamp}
  ticks(limit: 2) {status error {message className}}}"""


@dataclass(frozen=True)
class DagsterHealth:
    """Looks at Dagster through its GraphQL; ``words`` says why a code location's pod does not start, if it knows."""

    dagster: Dagster
    pages: Pages
    bounds: Bounds
    words: Callable[[str], str] | None = None

    def web(self) -> Looked:
        """Does the web server answer? Without it nobody sees anything, the watchdog included."""
        try:
            self.dagster.ask("{version}")
        except LooplineError as error:
            fix = "look into its log; 'loopline up' starts it again, six times in a row at most"
            return Looked((Alarm("web", "error", f"Dagster's web server does not answer: {error.problem}", fix),))
        return Looked()

    def daemons(self) -> Looked:
        """Do the daemons live? A dead one says nothing, and Dagster's own page waits for half an hour."""
        dead = self.dead()
        if not dead:
            return Looked()
        said = f"Dagster's daemon is dead or stuck: no heartbeat of {', '.join(dead)} for {self.bounds.heartbeat:.0f} s"
        fix = "read the daemon's log and start it again: no sensor ticks, no queued run starts until then"
        return Looked((Alarm("daemon", "error", said, fix, link=self.pages.daemons()),))

    def dead(self) -> list[str]:
        """Name the required daemons without a fresh heartbeat."""
        oldest = time.time() - self.bounds.heartbeat
        return sorted(one.name.lower() for one in self.dagster.daemons() if one.heartbeat < oldest)

    def locations(self) -> Looked:
        """Has every team loaded? A location that has not loses its sensors without a word."""
        found, unknown = [], set()
        for location in self.dagster.locations():
            silent = location.state == "broken" and self._is_silent(location)
            if location.state == "broken":
                found.append(self._silent(location) if silent else self._broken(location))
            if location.state == "loading" or silent:  # whether its code loads nobody can say
                unknown.add(f"location:{location.name}")
            if location.state == "loading":
                unknown.add(f"code-server:{location.name}")
        return Looked(tuple(found), frozenset(unknown))

    def automation(self) -> Looked:
        """Does everything tick? While the daemon is dead or a team broken, that is why, and said there."""
        if self.dead():
            return Looked(blind=("sensor:", "schedule:"))
        loaded = {one.name: one.state == "loaded" for one in self.dagster.locations()}
        blind = [f"{kind}:{name}/" for name, well in loaded.items() if not well for kind in ("sensor", "schedule")]
        found = [alarm for name, well in loaded.items() if well for alarm in self._of_location(name)]
        return Looked(tuple(found), blind=tuple(blind))

    def _is_silent(self, location: Location) -> bool:
        """Say whether a code server does not answer, and there is no kubelet that says why, if not at each look."""
        return self.words is None and any(word in location.reason for word in (UNREACHABLE, UNAVAILABLE))

    def _silent(self, location: Location) -> Alarm:
        said = f"the code server of team {location.name} does not answer"
        return self._of_team(location, "code-server", said, "see whether it runs, and its log; until it answers")

    def _broken(self, location: Location) -> Alarm:
        words = self.words(location.name) if self.words else ""
        said = f"the code of team {location.name} does not load: {location.reason}"
        if words:
            said = f"the pod of team {location.name} does not start: {words}"
        return self._of_team(location, "location", said, "mend what the reason names; until then")

    def _of_team(self, location: Location, cause: str, said: str, fix: str) -> Alarm:
        return Alarm(
            cause=f"{cause}:{location.name}",
            severity="error",
            problem=said,
            fix=f"{fix} its sensors are silent and its loop stands still",
            subject=ModelRef(location.name, ""),
            link=self.pages.locations(),
        )

    def _of_location(self, location: str) -> Iterator[Alarm]:
        found = self.dagster.ask(AUTOMATION, repository=repository(location), now=time.time())["repositoryOrError"]
        for sensor in found.get("sensors", ()):
            most = INTERVALS * sensor["minIntervalSeconds"] + self.bounds.silence
            yield from self._judged(location, "sensor", sensor, sensor["sensorState"], time.time() - most)
        for schedule in found.get("schedules", ()):
            oldest = _planned(schedule, time.time() - LATE_SECONDS)
            yield from self._judged(location, "schedule", schedule, schedule["scheduleState"], oldest)

    def _judged(
        self, location: str, kind: str, one: Mapping[str, Any], state: Mapping[str, Any], oldest: float
    ) -> Iterator[Alarm]:
        """Hold the newest good tick against the oldest that may be; what nobody has ever started is not missed."""
        if one["defaultStatus"] != "RUNNING":
            return
        failures = [tick["error"] or {} for tick in state["ticks"] if tick["status"] == "FAILURE"]
        failures = [error for error in failures if error.get("className") != UNREACHABLE]
        good = max((max(tick["timestamp"], tick["endTimestamp"] or 0) for tick in state["good"]), default=oldest)
        if state["status"] != "RUNNING":
            yield self._alarm(location, kind, one["name"], "warning", "is stopped", "start it when the reason is gone")
        elif len(failures) == TWICE:
            said = f"fails: {failures[0].get('message', '').strip()}"
            yield self._alarm(location, kind, one["name"], "error", said, "mend what the tick's error names")
        elif good < oldest:
            said = f"has not ticked for {(time.time() - good) / 60:.0f} minutes"
            yield self._alarm(location, kind, one["name"], "error", said, "look at its last tick and the daemon's log")

    def _alarm(self, location: str, kind: str, name: str, severity: Any, said: str, fix: str) -> Alarm:  # noqa: PLR0913, PLR0917
        page = self.pages.sensor if kind == "sensor" else self.pages.schedule
        cause, subject = f"{kind}:{location}/{name}", ModelRef(location, "")
        return Alarm(cause, severity, f"{kind} {name} {said}", fix, subject, page(location, name))


def _planned(schedule: Mapping[str, Any], before: float) -> float:
    """Return when a schedule should have ticked last, 0 for never: what was planned before it was started is not."""
    started = (schedule["scheduleState"]["typeSpecificData"] or {}).get("startTimestamp") or 0
    return max((at for at in schedule["potentialTickTimestamps"] if started < at < before), default=0)
