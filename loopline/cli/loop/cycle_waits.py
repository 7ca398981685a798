"""Diagnosis of an open cycle: what it waits for, by the ledger and by Dagster's runs and daemon."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core import alarms
from loopline.platform_core.alarms.events import WAITING, how_to_let_go
from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles.cycle_holds import holds
from loopline.platform_core.loop.ledger.entry_kinds import DOUBTED
from loopline.platform_core.loop.rollouts import pauses, rollouts
from loopline.platform_core.loop.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.graphql import Dagster
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.platform import Platform

SILENCE_SECONDS = 60
"""A daemon sends a heartbeat every 30 s."""
ASK_SECONDS = 5.0
SENSOR = "loopline_cycle_sensor"
SOON = "nothing to do: its sensor looks every few seconds"


@dataclass(frozen=True)
class Waits:
    """What a cycle waits for, and what a person can do about it."""

    what: str
    fix: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.what} → {self.fix}"


def waits_for(platform: Platform, one: Cycle) -> Waits:
    """Say what an open cycle waits for now; what stands in the ledger needs no running Dagster."""
    told = history.of_cycle(platform.ledger, one.ref, one.cycle_id)
    hold = next((hold for hold in holds(told) if hold.until is None), None)
    return (
        (Waits(f"cycle {one.cycle_id} is {hold}", how_to_let_go(one.cycle_id)) if hold else None)
        or _without_room(platform, one)
        or _stopped(platform, one)
        or _run(platform, one, told)
    )


def _without_room(platform: Platform, one: Cycle) -> Waits | None:
    cause = f"{WAITING}{one.ref}"
    alarm = next((one.alarm for one in alarms.standing(platform.ledger, cause) if one.alarm.cause == cause), None)
    return Waits(f"cycle {one.cycle_id}: {alarm.problem}", alarm.fix) if alarm else None


def _stopped(platform: Platform, one: Cycle) -> Waits | None:
    record = rollouts.running(platform.ledger, one.ref)
    stopped = pauses.stopped(platform.ledger, record) if record and record.cycle == one.cycle_id else ""
    if record is None or not stopped:
        return None
    fix = f"let it go on with 'loopline rollout resume {one.ref}', or thaw it with 'loopline thaw {one.ref}'"
    return Waits(f"the rollout of version {record.version} is {stopped}", fix)


def _run(platform: Platform, one: Cycle, told: Sequence[Entry]) -> Waits:
    """Ask Dagster of the cycle's newest run; where that cannot be asked, say so."""
    done = [entry for entry in told if entry.kind != DOUBTED]
    last = f"cycle {one.cycle_id} so far: {sentence(done[-1])}" if done else f"cycle {one.cycle_id} is open"
    try:
        return in_dagster(*_dagster(platform), one, last)
    except NotFound as nothing:
        elsewhere = "start it with 'loopline up'; where Dagster runs elsewhere, see that its daemon and code server run"
        return Waits(f"{nothing.problem}; {last}", elsewhere)
    except LooplineError as error:
        return Waits(f"{error.problem}; {last}", error.fix)


def in_dagster(dagster: Dagster, page: str, one: Cycle, last: str) -> Waits:
    """Say how far Dagster is with a cycle: its newest run, else why there is none; ``last`` is what was done so far.

    Raises:
        StoreUnavailable: Dagster does not answer.
    """
    runs = dagster.runs({"loopline/cycle": one.cycle_id}, limit=1)
    return _of_run(dagster, page, runs[0], last) if runs else _of_none(dagster, one)


def _dagster(platform: Platform) -> tuple[Dagster, str]:
    """Return the web server of this home, and its address.

    Raises:
        NotFound: none runs.
    """
    from loopline.graphql import Dagster
    from loopline.sign_in.own import Own
    from loopline.up import lock

    url = str(lock.announced(platform.home)["ui"] or "").rstrip("/")
    if not url:
        raise NotFound(f"no web server runs in {platform.home}", "start it with 'loopline up'")
    return Dagster(f"{url}/graphql", ASK_SECONDS, Own(platform)), url


def _of_run(dagster: Dagster, page: str, run: dict[str, Any], last: str) -> Waits:
    status, where = run["status"], f"{page}/runs/{run['runId']}"
    if status in {"QUEUED", "NOT_STARTED"}:
        others = len(dagster.runs(statuses=("STARTED", "STARTING"), limit=50))
        return Waits(
            f"its run waits in Dagster's queue; {others} others are at work",
            f"nothing to do, if one of them ends soon; else end one that hangs: {page}/runs",
        )
    if status == "FAILURE":
        return Waits("its run failed, and is tried again, three times at most", f"read what it failed at: {where}")
    return Waits(last, f"nothing to do: its run is {status.lower()}: {where}")


def _of_none(dagster: Dagster, one: Cycle) -> Waits:
    """Say why nobody has begun a run of it yet."""
    silent = time.time() - min((each.heartbeat for each in dagster.daemons()), default=0)
    if silent > SILENCE_SECONDS:
        since = f"for {silent:.0f} s" if silent < 1e9 else "ever"  # noqa: PLR2004 - no heartbeat is one of 1970
        fix = "read the daemon's log, and start it again: 'loopline up' does, where it runs"
        return Waits(f"no run of cycle {one.cycle_id} has begun: Dagster's daemon was not heard of {since}", fix)
    location = next((each for each in dagster.locations() if each.name == one.ref.team), None)
    if location is None or location.state != "loaded":
        state = f"is {location.state}: {location.reason}".rstrip(": ") if location else "is not known to Dagster"
        fix = f"mend what it names, then look again with 'loopline plugin check {one.ref.team}'"
        return Waits(f"no run of cycle {one.cycle_id} has begun: the code of team {one.ref.team} {state}", fix)
    if dagster.sensors(one.ref.team).get(SENSOR) != "RUNNING":
        fix = "start the sensor on Dagster's page Automation"
        return Waits(f"no run of cycle {one.cycle_id} has begun: {SENSOR} of {one.ref.team} is stopped", fix)
    return Waits(f"cycle {one.cycle_id} is open, and no run of it has begun yet", SOON)
