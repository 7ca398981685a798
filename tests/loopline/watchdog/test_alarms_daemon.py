"""Everything runs; then something breaks for good: one message a cause arrives, and one when it is over."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.testing.parts.http_sink import HttpSink
from loopline.up.app import App
from loopline.up.ports import free_port
from loopline.up.running import Options, running

pytestmark = pytest.mark.timeout(900)
LAMP = "[loopline.teams]\nlamp = lamp_shop:team\n"
WELL = (
    "from dataclasses import replace\n\nfrom corner_shop import team as corner\n\nteam = replace(corner, name='lamp')\n"
)
SENSOR = "loopline_rollout_sensor"
SWITCH = """
mutation ($sensor: SensorSelector!, $id: String!) {
  startSensor(sensorSelector: $sensor) @include(if: %s) {__typename ... on PythonError {message}}
  stopSensor(id: $id) @include(if: %s) {__typename ... on PythonError {message}}}"""
SENSOR_ID = """
query ($sensor: SensorSelector!) {sensorOrError(sensorSelector: $sensor) {__typename ... on Sensor {id}}}"""


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """Where messages arrive."""
    with HttpSink() as started:
        yield started


@pytest.fixture
def app(world, install, sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Everything on this machine, with a notifier, and a watchdog in a hurry."""
    install("lamp", LAMP, lamp_shop=WELL)
    text = world.environment.read_text()
    local = 'serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: "${LOOPLINE_INFERENCE_PORT:-8080}"}'
    notifiers = f'notifiers:\n  test: {{vendor: webhook, url: "{sink.url}", secret: "${{TESTS_WEBHOOK}}"}}\n'
    world.environment.write_text(text.replace("serving: {vendor: kept}", local) + notifiers)
    monkeypatch.setenv("TESTS_WEBHOOK", "key")
    for name, value in (("PATIENCE", "3"), ("INTERVAL", "1"), ("HEARTBEAT", "90")):
        monkeypatch.setenv(f"LOOPLINE_WATCHDOG_{name}", value)
    with running(world.home, world.environment, options=Options(port=free_port(3200))) as started:
        yield started


def told(sink: HttpSink, about: str) -> list[str]:
    """Return what was told of causes that begin so: ``raised cause`` or ``over cause``."""
    said = [json.loads(one.body) for one in sink.posted]
    return [f"{one['what']} {one['cause']}" for one in said if one["cause"].startswith(about)]


def wait_for(sink: HttpSink, about: str, expected: list[str], seconds: float = 240) -> None:
    """Wait until exactly these messages have come."""
    give_up = time.monotonic() + seconds
    while told(sink, about) != expected:
        assert time.monotonic() < give_up, (told(sink, ""), [json.loads(one.body)["problem"] for one in sink.posted])
        time.sleep(0.2)  # between two looks


def switch(app: App, *, on: bool) -> None:
    """Start or stop a sensor of the team, as a person would in Dagster's UI."""
    which = {"repositoryName": "__repository__", "repositoryLocationName": "lamp", "sensorName": SENSOR}
    known = app.dagster.ask(SENSOR_ID, sensor=which)["sensorOrError"]["id"]
    answer = app.dagster.ask(SWITCH % (str(on).lower(), str(not on).lower()), sensor=which, id=known)
    assert not [one for one in answer.values() if one["__typename"] == "PythonError"], answer


def write(app: App, text: str) -> None:
    """Change the team's code and let its server load it."""
    site = Path(next(path for path in os.environ["PYTHONPATH"].split(os.pathsep) if "site-lamp" in path))
    site.joinpath("lamp_shop.py").write_text(text)
    os.killpg(app.pid("code:lamp"), signal.SIGKILL)


def test_one_message_a_cause_and_one_when_it_is_over(app: App, sink: HttpSink) -> None:
    """A sensor is stopped, a team breaks, and the daemon dies for good; each is told once, and its end once."""
    sensor = f"sensor:lamp/{SENSOR}"
    switch(app, on=False)
    wait_for(sink, "sensor:lamp", [f"raised {sensor}"])
    first = json.loads(sink.posted[0].body)
    assert first["link"].startswith(f"{app.ui_url}/locations/")
    assert first["subject"] == "lamp"
    assert first["fix"]
    switch(app, on=True)
    wait_for(sink, "sensor:lamp", [f"raised {sensor}", f"over {sensor}"])

    write(app, "import no_such_library_here\n")
    wait_for(sink, "location:", ["raised location:lamp"])
    (said,) = [one for one in map(json.loads, (one.body for one in sink.posted)) if one["cause"] == "location:lamp"]
    assert "no_such_library_here" in said["problem"]  # that its server was dead a while is a cause of its own
    write(app, WELL)
    wait_for(sink, "location:", ["raised location:lamp", "over location:lamp"])

    time.sleep(15)  # the sensors tick again
    daemon = app.supervisor.children["daemon"]
    daemon.gave_up = True
    os.killpg(daemon.pid, signal.SIGKILL)
    wait_for(sink, "daemon", ["raised daemon"])
    time.sleep(5)  # a round or two, in which nothing is told
    assert told(sink, "sensor:lamp") == [f"raised {sensor}", f"over {sensor}"]  # it is silent, but that is why
    daemon.gave_up = False
    wait_for(sink, "daemon", ["raised daemon", "over daemon"])
    assert len({json.loads(one.body)["message_id"] for one in sink.posted}) == len(sink.posted)
