"""Measures a home of so many arrivals: ``python -m benchmarks.growth.side ARRIVALS``.

Of each line that it reads it prints a JSON object of names and seconds: first what the whole takes, then each time what
one more of everything takes, so that a short and a long history can be measured in turns.

Seconds are processor seconds of the process with all its threads, so that what else the machine does counts for little.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from benchmarks.growth.home import MODEL, NAMES, ORDERS, Home, age, home, landed, recent, spending
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.landing import pending
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.sentences import OBSERVED
from loopline.platform_core.monitor.quality import quality_history
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.training import training_set

WARM = 5
PAGES = {
    "models": "/models",
    "a model": "/models/shop/large",
    "cycles": "/cycles",
    "features": "/features",
    "a view": "/features/shop/spending",
    "dead letters": "/dead-letters",
    "dead letters of a source": "/dead-letters/shop/orders",
}


def main(arrivals: int) -> None:
    """Measure the whole for the first line, then one more of each for each line until there is none."""
    with TemporaryDirectory() as folder:
        warm_up()
        made = home(Path(folder))
        made.deliver(arrivals)
        measure: Callable[[], dict[str, float]] = partial(_whole, made)
        for _ in sys.stdin:
            print(json.dumps(measure()), flush=True)
            measure = partial(_one_more, made)


def _whole(made: Home) -> dict[str, float]:
    arrivals = made.arrivals
    seconds = {"land all files": _seconds(lambda: landed(made))}
    platform = made.opened()
    seconds["first materialization"] = _seconds(lambda: materialize(platform, made.team, spending))
    seconds["of a view that looks back two days"] = _seconds(lambda: materialize(platform, made.team, recent))
    now = platform.clock.now()
    seconds["training set"] = _seconds(lambda: training_set.build(platform, made.team, MODEL, now))
    platform.close()
    age(made, arrivals)
    platform = made.opened()
    seconds["first skew check"] = _seconds(lambda: skew.check(platform, made.team, MODEL))
    seconds["quality of every window"] = _seconds(lambda: quality_history.measured(platform, made.team, MODEL))
    platform.close()
    return seconds


def warm_up() -> None:
    """Import and compile everything on a home of a few files, which is not measured."""
    with TemporaryDirectory() as folder:
        small = home(Path(folder))
        small.deliver(5)
        landed(small)
        platform = small.opened()
        materialize(platform, small.team, spending)
        materialize(platform, small.team, recent)
        training_set.build(platform, small.team, MODEL, platform.clock.now())
        platform.close()
        age(small, 5)
        platform = small.opened()
        skew.check(platform, small.team, MODEL)
        quality_history.measured(platform, small.team, MODEL)
        platform.close()
        for _ in range(WARM):
            _one_more(small)


def _one_more(made: Home) -> dict[str, float]:
    """Let one more file arrive, and one more of everything else happen; a platform is opened for each, as runs do."""
    made.deliver()
    seconds = {
        NAMES: _seconds(made.names),
        "poll, by a new process": _opened(made, lambda p: pending(p, made.team, ORDERS, limit=1)),
    }
    seconds["land a file"] = _seconds(lambda: landed(made))
    platform = made.opened()
    made.rest()
    pending(platform, made.team, ORDERS, limit=1)
    seconds["poll again"] = _seconds(lambda: pending(platform, made.team, ORDERS, limit=1))
    platform.close()
    seconds["materialize a file"] = _opened(made, lambda p: materialize(p, made.team, spending))
    seconds["of a view that looks back"] = _opened(made, lambda p: materialize(p, made.team, recent))
    made.answer(made.arrivals - 1)
    seconds["compact predictions"] = _opened(made, lambda p: compact(p, made.team, MODEL))
    seconds["check skew"] = _opened(made, lambda p: skew.check(p, made.team, MODEL))
    seconds["measure quality"] = _opened(made, lambda p: quality_history.measured(p, made.team, MODEL))
    seconds |= _ledger(made) | _pages(made)
    return seconds


def _ledger(made: Home) -> dict[str, float]:
    platform, ref = made.opened(), ModelRef("team0", "model0")
    ledger = platform.ledger
    asked: dict[str, Callable[[], Any]] = {
        "ledger: newest 5 of a model": lambda: ledger.entries(ref, newest_first=True, limit=5),
        "ledger: newest 30 decisions on a model": lambda: history.newest(ledger, ref, 30, without=OBSERVED),
        "ledger: open cycles": lambda: cycles.open_cycles(ledger),
    }
    found = {what: _seconds(ask) for what, ask in asked.items()}
    platform.close()
    return found


def _pages(made: Home) -> dict[str, float]:
    """Ask a portal that has been asked before, after one more of everything."""
    from fastapi.testclient import TestClient

    from loopline.portal.app import create_app

    platform = made.opened()
    with TestClient(create_app(platform, Installed((made.team,), ())), "http://localhost") as portal:
        for path in PAGES.values():
            portal.get(path).raise_for_status()
        found = {f"page: {name}": _seconds(lambda path=path: portal.get(path)) for name, path in PAGES.items()}  # type: ignore[misc]
    platform.close()
    return found


def _opened(made: Home, call: Callable[[Platform], Any]) -> float:
    platform = made.opened()
    seconds = _seconds(lambda: call(platform))
    platform.close()
    return seconds


def _seconds(call: Callable[[], Any]) -> float:
    began = process_time()
    call()
    return process_time() - began


if __name__ == "__main__":
    main(int(sys.argv[1]))
