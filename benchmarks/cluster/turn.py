"""From drift to canary on a cluster: the walk of the tests, as far as a candidate answers, with its times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.page import Promise, Section
from benchmarks.turns import ROOT

HOW = """Seconds from the ledger's entry of the window in which drift was found, on the Kubernetes of the tests, with
what the chart installs there: daemon, web servers and code locations are pods, a Job trains, and pods behind a gateway
answer. The team's model learns from 600 kilns and their 1,800 tiles; a client asks some twenty times a second and
takes the time at which the candidate first answers. It is the walk of `tests/cluster/test_walk.py`, once: a cycle
opens at the next look of a sensor, its steps run in the pod of the code location, its training in a pod of its own.
Nothing stands beside it: what bare Dagster takes for a turn of the loop on one machine, and what a Job and a canary
take by hand on the same cluster, stand in sections of their own."""
HEADER = ("until", "seconds")
MOST_SECONDS = 120.0
_TESTS = "test_a_first_version_goes_live or test_drift_turns_the_loop"


def compare(quick: bool = False) -> Section:  # noqa: ARG001 - one turn is as short as it gets
    """Walk as far as the candidate of a drift's cycle answers."""
    seconds = _walked()
    rows = [[step, f"{value:.2f} s"] for step, value in seconds.items()]
    last = list(seconds)[-1]
    promise = Promise(f"from drift until {last}", seconds[last], MOST_SECONDS, " s")
    return Section("From drift to canary, on a cluster", HOW, HEADER, rows, [promise])


def _walked() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        kept = Path(folder) / "seconds.json"
        asked = ["-q", "-x", "-m", "cluster", "tests/cluster/test_walk.py", "-k"]
        command = [sys.executable, "-m", "pytest", *asked, _TESTS]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"LOOPLINE_TURN_SECONDS": str(kept)}, check=True)
        found: dict[str, float] = json.loads(kept.read_text())
        return found
