"""Computes the scorecard over a ledger of so many rows: ``python -m benchmarks.scorecard.side URL ROWS``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.measured import measured
from benchmarks.scorecard import past
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.delta.lake import DeltaLake
from loopline.scorecard import history, latest, reading
from loopline.scorecard.compute import update

READS = 50


def main(url: str, rows: int) -> None:
    """Write the past, then read it, compute all of it, an hour later only what is new, and read the figures."""
    with TemporaryDirectory() as folder:
        platform, clock = _platform(url, Path(folder))
        past.write(platform.ledger, rows)
        clock.set(past.BEGUN + timedelta(days=past.DAYS))
        _say("read the whole ledger", *measured(lambda: reading.read(platform.ledger))[1])
        found, cost = measured(lambda: update(platform))
        _say(f"fill in {found.days} days", *cost, figures=found.rows)
        clock.set(past.BEGUN + timedelta(days=past.DAYS, hours=1))
        found, cost = measured(lambda: update(platform))
        _say("an hour later", *cost, figures=found.rows)
        _say("newest figures, first read", _milliseconds(lambda: latest(platform), 1) / 1000, 0.0)
        _say("newest figures", _milliseconds(lambda: latest(platform), READS) / 1000, 0.0)
        _say("a history", _milliseconds(lambda: history(platform, "lead_time_median"), READS) / 1000, 0.0)
        platform.close()


def _platform(url: str, folder: Path) -> tuple[Platform, ReplayClock]:
    bindings = {"lake": DeltaLake(root=str(folder / "lake")), "serving": InMemoryServing()}
    platform = Platform(Environment("bench", folder / "e.yaml", bindings, url, folder / "clock", folder))
    assert isinstance(platform.clock, ReplayClock)
    return platform, platform.clock


def _milliseconds(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = perf_counter()
        call()
        taken.append(1000 * (perf_counter() - began))
    return median(taken)


def _say(what: str, seconds: float, peak_mb: float, figures: int = 0) -> None:
    print(json.dumps({"what": what, "seconds": seconds, "peak_mb": peak_mb, "figures": figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
