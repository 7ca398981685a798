"""A home in which a first version is live, the same for both sides: data landed, features made, a model served."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks import homes
from benchmarks.canary.shop import orders, team, visit, visits
from benchmarks.homes import LAPTOP, PORT
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.turn import Turn, deploy, fit, gate, pin

REF = ModelRef(team.name, orders.name)
ROWS = 4_000
DAGSTER = {"ours": "dagster", "bare": "dagster-bare"}
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def enter(home: Path, side: str, port: int) -> None:
    """Put this process and its children into a home, with the team installed.

    Sides share lake and registry; each has its server's state, and its instance of Dagster, for itself.
    """
    environment = home / f"{side}.yaml"
    home.mkdir(parents=True, exist_ok=True)
    environment.write_text(LAPTOP.read_text().replace("/serving", f"/serving-{side}"))
    variables = {PORT: str(port), "DAGSTER_HOME": str(home / DAGSTER[side])}
    homes.enter(home, "shop", "benchmarks.canary.shop:team", environment, **variables)


def prepare(home: Path) -> None:
    """Land the rows and put the first version live."""
    write_visits(home / "landing" / team.name / visits.name / "visits.csv")
    platform = Platform.open()
    try:
        land(platform, team, visits)
        materialize(platform, team, visit)
        now = platform.clock.now()
        cycle = cycles.open_cycle(platform.ledger, REF, orders.drift, "first version", "first", now, force=True)
        turn = Turn(platform, team, orders, cycle)
        pin(turn)
        fit(turn)
        gate(turn)
        assert deploy(turn).state == "promoted"
    finally:
        platform.close()


def write_visits(path: Path) -> None:
    """Write two months of visits whose pages and minutes say something of what follows."""
    random = np.random.default_rng(7)
    pages, minutes = random.poisson(6, ROWS), random.gamma(2, 3, ROWS).round(2)
    bought = random.random(ROWS) < 1 / (1 + np.exp(4 - 0.4 * pages - 0.15 * minutes))
    seen = [_FIRST + timedelta(minutes=20 * number) for number in range(ROWS)]
    lines = [
        f"{number % 500},{seen[number]:%Y-%m-%d %H:%M:%S},{pages[number]},{minutes[number]},{int(bought[number])}"
        for number in range(ROWS)
    ]
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["Visitor,Seen,Pages,Minutes,Bought", *lines]) + "\n")
    came = (_FIRST + timedelta(days=100)).timestamp()
    os.utime(path, (came, came))  # a file of this moment may still be written
