"""One turn of acme's loop in one process, from files to an answered request; prints what happened as JSON.

Run in a fresh interpreter that has the team and the vendor. Time is the data's own.
"""

from __future__ import annotations

import json
import os
import random
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loopline.platform_core import plugins, turn
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.parts.inference_server import inference_server

REF = ModelRef("acme", "stops")
START = datetime(2024, 5, 1, tzinfo=UTC)
HOURS, PRESSES = 60, 12


def write_readings(folder: Path) -> datetime:
    """Write a file an hour: a hot press stays hot for a while, and stops more often. Returns when the last came."""
    folder.mkdir(parents=True)
    chance = random.Random(3)
    heat = dict.fromkeys(range(PRESSES), 50.0)
    for hour in range(HOURS):
        moment = START + timedelta(hours=hour)
        lines = ["Press,Measured,Heat,Stopped"]
        for press in heat:
            heat[press] = max(0.0, 0.9 * heat[press] + chance.gauss(5, 10))
            stopped = int(chance.random() < (0.8 if heat[press] > 60 else 0.1))
            lines.append(f"{press},{moment:%Y-%m-%d %H:%M},{heat[press]:.2f},{stopped}")
        if not hour:
            lines.append("99,yesterday,12.0,0")
        file = folder / f"{hour:03}.csv"
        file.write_text("\n".join(lines) + "\n")
        came = (moment + timedelta(minutes=5)).timestamp()
        os.utime(file, (came, came))
    return moment + timedelta(minutes=5)


def turn_once(platform: Platform, now: datetime) -> dict:
    """Land, materialize, and go once around."""
    team = plugins.installed(only=["acme"]).team("acme")
    model = team.model("stops")
    landed = land(platform, team, team.source("readings"))
    made = [materialize(platform, team, view) for view in team.views]
    cycle = cycles.open_cycle(platform.ledger, REF, model.drift, "by hand", "first", now, force=True)
    around = turn.Turn(platform, team, model, cycle)
    pinned = turn.pin(around)
    fitted = turn.fit(around)
    verdict = turn.gate(around)
    rollout = turn.deploy(around)
    return {
        "rows": landed.rows,
        "dead": landed.dead,
        "online": sum(view.online for view in made),
        "training_rows": pinned.rows,
        "served_as": fitted["package_kind"],
        "parity": fitted["parity"]["max_difference"],
        "gates": {reading.gate: reading.passed for reading in verdict.readings},
        "rollout": rollout.state,
        "cycle": cycle.cycle_id,
        "state": cycles.cycle(platform.ledger, cycle.cycle_id).state,
        "live": history.live_at(platform.ledger, REF, now).cycle,
    }


def ask(endpoint: str) -> dict:
    """Ask about one press and return the answer."""
    body = {"inputs": [{"name": "press", "shape": [1], "datatype": "INT64", "data": [3]}]}
    moment = (START + timedelta(hours=HOURS)).isoformat()
    request = json.dumps({**body, "parameters": {"event_time": moment}}).encode()
    with urllib.request.urlopen(f"{endpoint}/infer", request, timeout=10) as answer:
        return json.load(answer)


def main() -> None:
    """Turn, then serve."""
    home = Path(os.environ["LOOPLINE_HOME"])
    now = write_readings(home / "landing" / "acme" / "readings")
    ReplayClock(home / "clock").set(now)
    platform = Platform.open()
    facts = turn_once(platform, now)
    with inference_server(platform.environment.path, int(os.environ["LOOPLINE_INFERENCE_PORT"])):
        facts["answer"] = ask(platform.serving.endpoint(REF.dotted))
        facts["logged"] = platform.serving.predictions(REF.dotted)[0].to_pylist()
    platform.close()
    json.dump(facts, sys.stdout, default=str)


if __name__ == "__main__":
    main()
