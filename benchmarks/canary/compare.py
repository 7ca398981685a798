"""From drift to canary: ours beside bare Dagster, both under the real daemon."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns, json_lines, medians

HOW = """Seconds from the record of a drift check's failure. Both sides run under Dagster's daemon with a code server,
run queue and SQLite, retrain the same small model (4,000 rows, 2 trials) by the same training function in a process of
its own, judge it, register it in MLflow, and give half the traffic to the new version on the same inference server; a
client asks twenty times a second and takes the time at which the candidate first answers. Ours does it with cycle,
ledger, gates and rollout; the bare side (`benchmarks/canary/bare.py`) with a sensor, a cursor, a job and a row in
SQLite. The failure is reported half a daemon's round after a tick, the mean of what chance would give."""
HEADER = ("until", "ours", "bare", "ratio")
ROUNDS = 2


def compare(quick: bool = False) -> Section:
    """Measure; each turn starts everything anew in the same home."""
    times = 1 if quick else 2
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        home = Path(folder)
        taken = in_turns(
            {
                side: lambda side=side: json_lines(f"benchmarks.canary.run_{side}", home, times)
                for side in ("ours", "bare")
            },
            1 if quick else ROUNDS,
        )
    ours, bare = (medians([one for turn in taken[side] for one in turn]) for side in ("ours", "bare"))
    rows = [[name, f"{ours[name]:.2f} s", f"{bare[name]:.2f} s", f"{ours[name] / bare[name]:.2f}"] for name in ours]
    last = list(ours)[-1]
    promise = Promise("ours / bare, until the candidate answers", ours[last] / bare[last], 1.3)
    return Section("From drift to canary", HOW, HEADER, rows, [promise])
