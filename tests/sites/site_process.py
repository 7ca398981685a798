"""What a site's code server does at the daemon's word, without Dagster: stdin names a step a line, stdout answers.

Each step is what the team's assets and sensors call. What fails is answered with the error, as a run would end with it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loopline.platform_core import plugins, turn
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, online_view, prediction_table
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.sites import heartbeats
from loopline.platform_core.monitor.quality.predictions import IDENTITY, compact, waiting
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform

START = datetime(2024, 5, 1, tzinfo=UTC)
HOURS, PRESSES = 40, 10
PATIENCE_SECONDS = 300


class Site:
    """One team at this process's site."""

    def __init__(self, team: str) -> None:
        plugins.take_place(team)
        self.platform, self.team = Platform.open(), plugins.installed([team]).team(team)
        self.model = self.team.models[0]
        self.ref = ModelRef(team, self.model.name)

    @property
    def _inbox(self) -> Path:
        return self.platform.home / "landing" / self.platform.environment.site / self.team.name / "readings"

    def turn(self, first: int) -> dict[str, Any]:
        """Land files of presses from ``first`` on, make features, train, and go live."""
        now = _write_readings(self._inbox, first)
        ReplayClock(self.platform.home / "clock").set(now)
        landed = land(self.platform, self.team, self.team.sources[0])
        for view in self.team.views:
            materialize(self.platform, self.team, view)
        cycle = cycles.open_cycle(self.platform.ledger, self.ref, self.model.drift, "by hand", "first", now, force=True)
        around = turn.Turn(self.platform, self.team, self.model, cycle)
        pinned, fitted = turn.pin(around), turn.fit(around)
        turn.gate(around)
        state = turn.deploy(around).state
        return {"rows": landed.rows, "training_rows": pinned.rows, "version": fitted["version"], "state": state}

    def refuse(self, marker: str) -> dict[str, Any]:
        """Land a file that is refused, in whose header stands what nobody elsewhere is to read."""
        _deliver(self._inbox / "broken.csv", f"{marker},Measured\n1,2", self.platform.clock.now() - timedelta(hours=1))
        return {"refused": len(land(self.platform, self.team, self.team.sources[0]).refused)}

    def spoil(self, press: int) -> dict[str, Any]:
        """Let a press be another one online than offline, so that the check of skew has something to tell."""
        import pyarrow as pa

        view = self.team.views[0]
        now = pa.array([self.platform.clock.now() + timedelta(seconds=1)], pa.timestamp("us", tz="UTC"))
        rows = pa.table({"press": [press], "event_time": now, "heat": [31337.5], "heat_so_far": [31337.5]})
        return {"written": self.platform.online_store.write(online_view(self.team.name, view), "press", rows)}

    def watch(self) -> dict[str, Any]:
        """Look at the endpoint, then bring what it answered into the lake, as sensor and assets do."""
        live = deployments.deployments(self.platform.ledger, self.team.name)
        waits = waiting(self.platform, self.team, self.model) if self.model.name in live else 0
        heartbeats.looked(self.platform, [(self.ref, waits)])
        done = compact(self.platform, self.team, self.model)
        found = skew.check(self.platform, self.team, self.model)
        return {"waited": waits, "rows": done.rows, "skew": [one.reason for one in found]}

    def look(self) -> dict[str, Any]:
        """Look alone."""
        waits = waiting(self.platform, self.team, self.model)
        heartbeats.looked(self.platform, [(self.ref, waits)])
        return {"waited": waits}

    def predictions(self) -> dict[str, Any]:
        """Say which rows the site's lake holds."""
        rows = self.platform.lake.read(prediction_table(*self.ref), columns=IDENTITY).to_pylist()
        return {"requests": [row["request_id"] for row in rows], "keys": [row["keys"] for row in rows]}

    def endpoint(self) -> dict[str, Any]:
        """Say where the model answers, once it does."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (seen := self.platform.serving.observe(self.ref.dotted)).generation is None and time.monotonic() < end:
            time.sleep(0.05)  # between two looks
        assert seen.ready, seen
        return {"url": self.platform.serving.endpoint(self.ref.dotted)}


def _write_readings(folder: Path, first: int) -> datetime:
    chance = random.Random(3)
    folder.mkdir(parents=True)
    heat = {first + number: 50.0 for number in range(PRESSES)}
    for hour in range(HOURS):
        moment, lines = START + timedelta(hours=hour), ["Press,Measured,Heat,Stopped"]
        for press, before in heat.items():
            heat[press] = now = max(0.0, 0.9 * before + chance.gauss(5, 10))
            stopped = int(chance.random() < (0.8 if now > 60 else 0.1))
            lines.append(f"{press},{moment:%Y-%m-%d %H:%M},{now:.2f},{stopped}")
        _deliver(folder / f"{hour:03}.csv", "\n".join(lines), moment)
    return START + timedelta(hours=HOURS)


def _deliver(file: Path, content: str, moment: datetime) -> None:
    file.write_text(f"{content}\n")
    came = (moment + timedelta(minutes=5)).timestamp()
    os.utime(file, (came, came))


def main(team: str) -> None:
    """Do steps until stdin ends."""
    site, answers = Site(team), sys.stdout
    sys.stdout = sys.stderr
    steps: Mapping[str, Callable[..., dict[str, Any]]] = {
        name: getattr(site, name) for name in ("turn", "refuse", "spoil", "watch", "look", "predictions", "endpoint")
    }
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = steps[asked.pop("step")](**asked)
        except LooplineError as error:
            said = {"error": type(error).__name__, "problem": error.problem}
        except Exception:  # noqa: BLE001 - the test shows it
            said = {"error": "unforeseen", "problem": traceback.format_exc()}
        print(json.dumps(said, default=str), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
