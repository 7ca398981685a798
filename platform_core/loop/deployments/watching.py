"""Endpoint availability as seen at each tick of the monitor's sensor, recorded in the ledger.

That is when a change had arrived, and for how long the endpoint was ready. An entry a day and change of state, not one
a tick. Seconds are the wall's, also where the platform's clock replays history: an endpoint is up in real time.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation import files
from loopline.platform_core.loop.ledger.ledger import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.platform import Platform

ARRIVED = "deployment.arrived"
"""The endpoint was seen at a generation, and no worker is at an older one."""
WATCHED = "endpoint.watched"
"""For how many seconds the endpoint was seen ready, and not ready, since the entry before."""
LONGEST_SECONDS = 60.0
"""Two looks further apart than that say nothing of the time between them: the sensor did not run."""


@dataclass(frozen=True)
class EndpointState:
    """What is remembered of an endpoint between two looks; ``looked_at`` is the wall's time, in seconds since 1970."""

    looked_at: float
    day: str
    ready: bool
    arrived: int = 0
    up_seconds: float = 0.0
    down_seconds: float = 0.0


def watch(platform: Platform, team: str, deployed: Iterable[Deployment], wall: float) -> None:
    """Look at a team's endpoints once; what is remembered until the next look lies in a file, whoever looks next.

    A cursor of the sensor would be kept with each of its ticks: megabytes an hour for a hundred models. An endpoint
    that cannot be looked at was not watched.
    """
    file = platform.home / "watched" / f"{team}.json"
    before = _remembered(file)
    seen = {}
    for live in deployed:
        with contextlib.suppress(StoreUnavailable):
            seen[live.ref.model] = look(platform, live, before.get(live.ref.model), wall)
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, json.dumps({model: asdict(each) for model, each in seen.items()}).encode())


def last_look(platform: Platform, team: str) -> float:
    """Return when a team's endpoints were last looked at, in seconds since 1970; 0 for never."""
    seen = _remembered(platform.home / "watched" / f"{team}.json")
    return max((one.looked_at for one in seen.values()), default=0.0)


def look(platform: Platform, live: Deployment, before: EndpointState | None, wall: float) -> EndpointState:
    """Look at an endpoint once, write down what is worth it, and return what is to be remembered until the next look.

    ``wall`` is the machine's time, in seconds since 1970.
    """
    observed, now = platform.serving.observe(live.ref.dotted), platform.clock.now()
    there = observed.generation is not None and observed.generation >= live.generation
    if there and (before is None or before.arrived < live.generation):
        _arrive(platform, live, now)
    seen = _added(before, wall) if before else EndpointState(wall, "", observed.ready)
    if before and (before.day != now.date().isoformat() or before.ready != observed.ready):
        _record_uptime(platform, live, seen, now)
        seen = replace(seen, up_seconds=0.0, down_seconds=0.0)
    arrived = live.generation if there else seen.arrived
    return replace(seen, looked_at=wall, day=now.date().isoformat(), ready=observed.ready, arrived=arrived)


def _remembered(file: Path) -> dict[str, EndpointState]:
    """Read what the last look left; of what cannot be read nothing is remembered."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return {model: EndpointState(**each) for model, each in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _added(before: EndpointState, wall: float) -> EndpointState:
    """Count the time since the look before as what it saw."""
    seconds = wall - before.looked_at
    if not 0 < seconds <= LONGEST_SECONDS:
        return before
    name = "up_seconds" if before.ready else "down_seconds"
    return replace(before, **{name: getattr(before, name) + seconds})


def _arrive(platform: Platform, live: Deployment, now: datetime) -> None:
    version = live.stable.version if live.stable else ""
    entry = Entry(ARRIVED, now, *live.ref, version=version, details={"generation": live.generation})
    platform.ledger.record(entry, once=f"{ARRIVED}:{live.ref.dotted}:{live.generation}")


def _record_uptime(platform: Platform, live: Deployment, seen: EndpointState, now: datetime) -> None:
    if seen.up_seconds or seen.down_seconds:
        details = {"up_seconds": round(seen.up_seconds, 3), "down_seconds": round(seen.down_seconds, 3)}
        platform.ledger.record(Entry(WATCHED, now, *live.ref, details=details))
