"""What a person cancels in Dagster ends where it is computed; what is only interrupted goes on there."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, key
from loopline.asset_defs.sensors import cycle_sensor
from loopline.platform_core import turn
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.specs import Requirements
from loopline.platform_core.training import training_set
from loopline.platform_core.training.training_set import TrainingSet
from loopline.resources.subprocess.compute import SubprocessCompute
from tests.waiting import until

TRAINING = """
import os, time
from pathlib import Path
def train(**args):
    Path(os.environ["TRAININGS"], str(time.time_ns())).write_text(str(os.getpid()))
    time.sleep(120)  # longer than any test
"""


@pytest.fixture
def at_work(driver, tmp_path, monkeypatch):
    """Let the environment compute in processes, and trainings take two minutes; gives the folder of their marks."""
    marks, site = tmp_path / "marks", tmp_path / "patience"
    for folder in (marks, site):
        folder.mkdir()
    site.joinpath("patient.py").write_text(TRAINING)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("TRAININGS", str(marks))
    monkeypatch.setattr(turn, "TRAIN", "patient:train")
    driver.platform.environment.path.write_text("name: tiny\n")
    driver.platform.environment.bindings["compute"] = SubprocessCompute(root=tmp_path / "compute")
    return marks


@pytest.fixture
def cycle(driver):
    """Open a cycle that has its training set."""
    name = driver.open_cycle("one", "by hand")
    pinned = TrainingSet(
        "pinned", "tiny", "one", driver.platform.clock.now(), {}, "spec", "rows", 100, {"positives": 10}
    )
    entry = Entry(turn.PINNED, driver.platform.clock.now(), "tiny", "one", name, details=training_set.to_json(pinned))
    driver.platform.ledger.record(entry)
    return name


def process(marks: Path) -> psutil.Process:
    """Return the process of the training that has begun."""
    (mark,) = until(lambda: [one for one in marks.iterdir() if one.read_text()], 60)
    return psutil.Process(int(mark.read_text()))


def gone(found: psutil.Process) -> bool:
    """Say whether a process has ended."""
    return not found.is_running() or found.status() == psutil.STATUS_ZOMBIE


def begun(driver, marks: Path, cycle: str) -> tuple[threading.Thread, psutil.Process]:
    """Begin a cycle's training; gives who waits for it, and its process."""

    def wait() -> None:
        with pytest.raises(LooplineError):
            driver.platform.compute.run("patient:train", {}, Requirements(memory_gb=0.1), cycle)

    caller = threading.Thread(target=wait)
    caller.start()
    return caller, process(marks)


def interrupted(driver, marks: Path, cycle: str, *, by_a_person: bool) -> psutil.Process:
    """Run the cycle's model, and interrupt that when its training is at work; gives the training's process."""
    found: list[psutil.Process] = []

    def interrupt() -> None:
        found.append(process(marks))
        (run,) = driver.instance.get_runs(dg.RunsFilter(tags={CYCLE_TAG: cycle}))
        if by_a_person:
            driver.instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)  # what Dagster's run process does to itself when it is to end

    thread = threading.Thread(target=interrupt)
    thread.start()
    with contextlib.suppress(BaseException):  # the interrupt, if Dagster hands it on
        driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=[key("tiny", "model", "one")])
    thread.join()
    return found[0]


def test_a_cancelled_run_ends_its_training_and_says_so(driver, at_work, cycle):
    """The process is gone at once, and the run's page says what became of it."""
    began = time.monotonic()
    training = interrupted(driver, at_work, cycle, by_a_person=True)
    until(lambda: gone(training), 10)
    assert time.monotonic() - began < 90
    (run,) = driver.instance.get_runs(dg.RunsFilter(tags={CYCLE_TAG: cycle}))
    said = [entry.user_message for entry in driver.instance.all_logs(run.run_id)]
    assert f"the training of cycle {cycle} is ended where it ran, as its run is cancelled" in said


def test_an_interrupted_run_leaves_its_training_at_work(driver, at_work, cycle):
    """A code server that is started anew ends its runs' processes, and no training."""
    training = interrupted(driver, at_work, cycle, by_a_person=False)
    time.sleep(1)  # nothing tells that nobody ends it
    assert not gone(training)
    driver.platform.compute.cancel(cycle)
    until(lambda: gone(training), 10)


def test_a_sensor_that_dies_over_a_cancelled_run_ends_its_training_later(driver, at_work, cycle, monkeypatch):
    """Whoever closes the cycle ends the training; until then the cycle stays open, so that the next look finds it."""
    caller, training = begun(driver, at_work, cycle)
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, dg.DagsterRunStatus.CANCELED)

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cycle_sensor, "dropped", dies)
        with contextlib.suppress(BaseException):
            driver.tick("cycle")
    assert not gone(training)
    driver.tick("cycle")
    until(lambda: gone(training), 10)
    caller.join()
    assert driver.state(cycle) == ("failed", "its run was cancelled in Dagster")


def test_a_run_that_died_is_found_again(driver, at_work, cycle):
    """It was killed, not cancelled: the sensor asks for the next run, and the training goes on for that."""
    caller, training = begun(driver, at_work, cycle)
    driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, dg.DagsterRunStatus.FAILURE)
    ((request,), _) = driver.tick("cycle")
    assert request.run_key == f"{cycle}:2"
    assert not gone(training)
    driver.platform.compute.cancel(cycle)
    caller.join()
