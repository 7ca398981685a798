"""``loopline up`` as a user starts it: real processes, a team that loads and one that does not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopline.graphql import Dagster
from loopline.platform_core.errors import NotFound
from loopline.up import lock
from loopline.up.ports import free_port

BROKEN = "[loopline.teams]\ncracked = broken_team:team\n"


@pytest.fixture
def environment(world, install) -> Path:
    """Bind the inference server of this machine, and install a team that does not load."""
    text = world.environment.read_text()
    local = 'serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: "${LOOPLINE_INFERENCE_PORT:-8080}"}'
    world.environment.write_text(text.replace("serving: {vendor: kept}", local))
    install("cracked", BROKEN, broken_team="import no_such_library_here\n")
    return world.environment


@pytest.fixture
def process(world, environment):
    """Start ``loopline up``, and end it whatever happens."""
    command = (sys.executable, "-c", "from loopline.cli import main; main()")
    arguments = ("up", "--port", str(free_port(3100)), "--output", "json")
    log = world.home.parent / "up.log"
    with log.open("w") as errors:
        started = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
    yield started
    started.kill()
    started.wait()


def test_up_starts_everything_and_ends_cleanly(process, world):
    """All answers, a broken team is quarantined while another runs, a dead server comes back, Ctrl-C ends all."""
    said = process.stdout.readline()
    assert said, world.home.parent.joinpath("up.log").read_text()
    facts = json.loads(said)
    assert "pid" in facts, facts
    assert lock.announced(world.home)["pid"] == facts["pid"] == process.pid
    assert "no_such_library_here" in facts["quarantined"]["cracked"]
    assert "broken_team.py:1" in facts["quarantined"]["cracked"]
    assert "corner" not in facts["quarantined"]
    with urllib.request.urlopen(f"{facts['inference']}/v2/health/live", timeout=5) as answer:
        assert answer.status == 200
    assert psutil.pid_exists(facts["pids"]["shadow"])

    dagster = Dagster(facts["graphql"])
    states = {location.name: location.state for location in dagster.locations()}
    assert (states["corner"], states["cracked"], states["loopline"]) == ("loaded", "broken", "loaded")
    assert "loopline_cycle_sensor" in dagster.sensors("corner")
    run = dagster.launch("corner", "loopline_monitor", {"by": "test"})
    assert dagster.wait(run, timeout_seconds=120) == "SUCCESS"
    assert dagster.runs({"by": "test"})[0]["runId"] == run

    views = _answered(f"{facts['features']}/features")
    assert "corner/customer_sales@1" in [f"{view['team']}/{view['view']}@{view['version']}" for view in views]
    shown = _answered(f"{facts['portal']}/models.json")
    assert "corner/returns" in [f"{row['team']}/{row['model']}" for row in shown["models"]]
    assert "no_such_library_here" in shown["quarantined"]["cracked"]

    os.kill(facts["pids"]["inference"], signal.SIGKILL)
    give_up = time.monotonic() + 300
    while lock.announced(world.home)["pids"]["inference"] == facts["pids"]["inference"]:
        assert time.monotonic() < give_up, "the inference server did not come back"
        time.sleep(0.1)  # between two looks

    pids = list(lock.announced(world.home)["pids"].values())
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    with pytest.raises(NotFound):
        lock.announced(world.home)
    log = world.home.parent.joinpath("up.log").read_text()
    assert "cracked: quarantined" in log
    assert "inference: restarted" in log


def test_a_stop_before_all_is_ready_ends_cleanly_too(process, world):
    """Ctrl-C while things start leaves nothing behind, and the exit code is 0."""
    give_up = time.monotonic() + 300
    while not list(world.home.glob("logs/inference.log")):
        assert time.monotonic() < give_up
        time.sleep(0.05)  # between two looks
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    assert not [p for p in psutil.process_iter() if str(world.home) in " ".join(_cmdline(p))]


def _answered(url: str) -> Any:
    """Wait until a service that starts last answers, and return what it says."""
    give_up = time.monotonic() + 300
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
        assert time.monotonic() < give_up, f"{url} does not answer"
        time.sleep(0.1)  # between two looks


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
