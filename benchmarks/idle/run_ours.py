"""Our side: ``python -m benchmarks.idle.run_ours <home> <models> <settle> <seconds>`` prints a JSON line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.idle.site import TEAM, enter
from benchmarks.idle.spent import watched
from loopline.up import dagster_home
from loopline.up.ports import free_port
from loopline.up.running import Options, running


def main(home: Path, models: int, settle: float, seconds: float) -> None:
    """Run everything as ``loopline up`` does, portal and Dagster's UI included, and watch it."""
    if not home.joinpath("ledger.db").exists():
        subprocess.run((sys.executable, "-m", "benchmarks.idle.home", str(home), str(models)), check=True)
    enter(home, models, free_port())
    dagster_home.team_names = lambda _=None: (TEAM,)  # whatever else is installed here
    with running(home, home / "laptop.yaml", options=Options(port=free_port())) as app:
        time.sleep(settle)
        pids = {"up": os.getpid()} | {name: child.pid for name, child in app.supervisor.children.items()}
        print(json.dumps({name: spent._asdict() for name, spent in watched(pids, seconds).items()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
