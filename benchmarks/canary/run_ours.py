"""Our side: ``python -m benchmarks.canary.run_ours <home> <times>`` prints what it took, a JSON line each time."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from benchmarks.canary import home as homes
from benchmarks.canary.stopwatch import Side, ask, measure
from loopline.platform_core.loop.rollouts.rollback import roll_back
from loopline.platform_core.platform import Platform
from loopline.up import dagster_home
from loopline.up.ports import free_port
from loopline.up.running import Options, running


def main(home: Path, times: int) -> None:
    """Run everything as ``loopline up`` does, with one team and without the web server, and measure."""
    homes.enter(home, "ours", free_port())
    dagster_home.team_names = lambda: (homes.team.name,)  # the other side has one team as well
    if not home.joinpath("ledger.db").exists():
        homes.prepare(home)
    with running(home, home / "ours.yaml", options=Options(web=False)) as app, dg.DagsterInstance.get() as instance:
        assert app.endpoint is not None
        side = Side(instance, "loopline_cycle_sensor", app.endpoint, lambda version: _started(app.platform, version))
        seen = {ask(app.endpoint, 0)}
        for _ in range(times):
            print(json.dumps(measure(side, seen)), flush=True)
            roll_back(app.platform, homes.REF, "benchmark", "measured", datetime.now(UTC))


def _started(platform: Platform, version: str) -> float:
    entries = platform.ledger.entries(homes.REF, ["rollout.started"], newest_first=True)
    recorded = next(entry.recorded_at for entry in entries if entry.version == version)
    assert recorded is not None
    return recorded.timestamp()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
