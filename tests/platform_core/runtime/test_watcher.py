"""From a desired state on disk to the version that answers."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from functools import wraps
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime import watcher as module
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.states import Worker, desired_folder, observed, write_desired
from loopline.platform_core.runtime.watcher import Watcher
from loopline.platform_core.testing.parts.model_packages import Constant, write_package

MODEL = "retail.cancellations"


class Reporter(Worker):
    """A worker whose disk may be full."""

    full = False

    def report(self, model, state):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().report(model, state)


class Watched:
    """A watcher at work; ``until`` waits for something to become true."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inference = Inference(store=None, log=None)
        self.worker = Reporter(root, "w")
        self.watcher = Watcher(root, self.worker, self.inference)

    async def while_it_runs(self, story):
        """Tell a story; the watcher has its first look when that waits for the first time."""
        task = asyncio.create_task(self.watcher.run())
        try:
            await story
        finally:
            task.cancel()

    async def until(self, met):
        """Wait, and fail after two minutes."""
        end = time.monotonic() + 120
        while not met():
            assert time.monotonic() < end, observed(self.root, MODEL)
            await asyncio.sleep(0.01)  # the watcher's turns

    def ask_for(self, generation, package, candidate=None, percent=0, model=MODEL):
        """Write a desired state."""
        second = Served("2", candidate, "c2") if candidate else None
        write_desired(self.root, DesiredState(model, generation, Served("1", package, "c1"), second, percent))

    def generation(self, model=MODEL):
        """Return the generation that answers."""
        state = self.inference.models.get(model)
        return state.route.generation if state and state.route else None

    def problem(self):
        """Return what was reported."""
        return observed(self.root, MODEL)[0].problem


def running(story):
    """Make a test of a story that is told while the watcher runs."""

    @wraps(story)
    def test(watched, **given):
        asyncio.run(watched.while_it_runs(story(watched, **given)))

    return test


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Give a watcher that soon looks again after a failure, and often gives a sign of life."""
    monkeypatch.setattr(module, "AFTER_FAILURE_SECONDS", 0.05)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    return Watched(tmp_path / "serving")


@pytest.fixture
def package(tmp_path):
    """Give a package."""
    return write_package(tmp_path / "package", Constant(0.1))


@running
async def test_ready_after_the_first_look(watched, package):
    """The server is ready when every state was tried, also those that cannot be loaded."""
    watched.ask_for(1, package)
    watched.ask_for(1, package / "nothing", model="other.model")
    assert not watched.watcher.ready

    await watched.until(lambda: watched.watcher.ready)
    assert watched.generation() == 1
    assert watched.inference.models["other.model"].route is None


@running
async def test_a_server_that_can_load_nothing_is_not_ready(watched, package):
    """Until one model answers: servers of another image may answer for them meanwhile. Without models it is ready."""
    await watched.until(lambda: watched.watcher.ready)
    watched.ask_for(1, package / "nothing")
    await watched.until(lambda: MODEL in watched.inference.models)
    assert not watched.watcher.ready
    watched.ask_for(1, package, model="other.model")
    await watched.until(lambda: watched.watcher.ready)
    assert watched.inference.models[MODEL].route is None


@running
async def test_changes_in_quick_succession_end_at_the_last(watched, package):
    """However fast they come: file systems tell times in steps of some milliseconds."""
    for last in range(10, 110, 10):
        for generation in range(last - 9, last + 1):
            watched.ask_for(generation, package)
        await watched.until(lambda last=last: watched.generation() == last)


@running
async def test_a_package_that_comes_late_is_loaded(watched, package, monkeypatch):
    """What cannot be loaded is tried again, without being asked for again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    away = package.rename(package.with_name("away"))
    watched.ask_for(1, package)

    await watched.until(lambda: "holds no manifest.json" in watched.problem())
    away.rename(package)
    await watched.until(lambda: watched.generation() == 1)
    assert watched.problem() == ""


@running
async def test_however_often_a_broken_model_changes_it_is_tried_again_once_a_while(watched, package, monkeypatch):
    """The next try is one, and no longer as many as there were changes."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    builds = []

    def fail(state, before, trust):
        builds.append(state.generation)
        raise ValueError("broken")

    monkeypatch.setattr(Route, "build", fail)

    for generation in range(1, 13):
        watched.ask_for(generation, package)
        await watched.until(lambda generation=generation: generation in builds)
    builds.clear()
    begun = time.monotonic()
    await watched.until(lambda: len(builds) > 3)
    assert time.monotonic() - begun > 2.5 * 0.2, "four tries take three times as long as one waits for"


@running
async def test_a_torn_state_leaves_what_is_there(watched, package):
    """It is told, and the next good state is taken."""
    watched.ask_for(1, package)

    await watched.until(lambda: watched.generation() == 1)
    file = desired_folder(watched.root) / f"{MODEL}.json"
    file.write_text("{")
    await watched.until(lambda: "no desired state" in watched.problem())
    assert watched.generation() == 1
    file.unlink()
    watched.ask_for(2, package)
    await watched.until(lambda: watched.generation() == 2)


@running
async def test_promotion_loads_nothing_again(watched, package, tmp_path):
    """The candidate's model in memory becomes the stable version's."""
    candidate = write_package(tmp_path / "candidate", Constant(0.2))
    watched.ask_for(1, package, candidate, 25)

    await watched.until(lambda: watched.generation() == 1)
    before = watched.inference.models[MODEL].route.candidate.model
    write_desired(watched.root, DesiredState(MODEL, 2, Served("2", candidate, "c2")))
    await watched.until(lambda: watched.generation() == 2)
    assert watched.inference.models[MODEL].route.stable.model is before
    assert watched.inference.models[MODEL].route.candidate is None


@running
async def test_a_slow_model_holds_up_no_other(watched, package, tmp_path):
    """While one package cannot be read to its end another model changes; then the slow one has its newest state."""
    slow = tmp_path / "slow"
    slow.mkdir()
    os.mkfifo(slow / "manifest.json")  # reading waits for a writer
    watched.ask_for(1, slow)

    await watched.until(lambda: MODEL in watched.inference.models)
    watched.ask_for(1, package, model="other.model")
    await watched.until(lambda: watched.generation("other.model") == 1)
    assert watched.generation() is None
    watched.ask_for(2, package)
    await asyncio.to_thread(slow.joinpath("manifest.json").write_text, "{}")
    await watched.until(lambda: watched.generation() == 2)


@running
async def test_a_disk_that_is_full_for_a_while_keeps_no_model_from_changing(watched, package):
    """What could not be reported is reported once there is room, at a start too, and later states are followed."""
    watched.worker.full = True
    watched.ask_for(1, package)

    await watched.until(lambda: watched.watcher.ready)
    watched.ask_for(2, package)
    await watched.until(lambda: watched.generation() == 2)
    assert observed(watched.root, MODEL)[0].generation is None
    watched.worker.full = False
    await watched.until(lambda: observed(watched.root, MODEL)[0].generation == 2)
    watched.ask_for(3, package)
    await watched.until(lambda: observed(watched.root, MODEL)[0].generation == 3)


@running
async def test_a_torn_state_that_could_not_be_reported_is_reported_later(watched, package):
    """Nobody need ask again."""
    watched.worker.full = True
    (desired_folder(watched.root) / f"{MODEL}.json").write_text("{")

    await watched.until(lambda: MODEL in watched.inference.models)
    watched.worker.full = False
    await watched.until(lambda: "no desired state" in watched.problem())


@running
async def test_a_state_that_cannot_be_read_is_read_later(watched, package):
    """Other models come meanwhile; not everything was tried, so the server is not ready, and nobody need ask again."""
    watched.ask_for(1, package)
    file = desired_folder(watched.root) / f"{MODEL}.json"
    there = watched.root / "there.json"
    file.rename(there.with_suffix(".later"))
    file.symlink_to(there)
    watched.ask_for(1, package, model="other.model")
    os.utime(file.parent, (1, 1))

    await watched.until(lambda: watched.generation("other.model") == 1)
    await asyncio.sleep(0.1)  # looks enough for a watcher that takes it for tried
    assert not watched.watcher.ready
    there.with_suffix(".later").rename(there)
    await watched.until(lambda: watched.generation() == 1)
    await watched.until(lambda: watched.watcher.ready)


@running
async def test_many_slow_loads_hold_up_nothing_else(watched, package, tmp_path, monkeypatch):
    """Whatever the server does in threads goes on, and so do its sign of life, its looks and a roll-back."""
    candidate, build, may_end = write_package(tmp_path / "candidate", Constant(0.2)), Route.build, threading.Event()

    def slow(state, before, trust):
        assert state.model == MODEL or may_end.wait(300)
        return build(state, before, trust)

    monkeypatch.setattr(Route, "build", slow)
    watched.ask_for(1, package, candidate, 25)

    try:
        await watched.until(lambda: watched.generation() == 1)
        for number in range(40):
            watched.ask_for(1, package, model=f"slow.m{number}")
        await watched.until(lambda: len(watched.inference.models) == 41)
        alive = watched.root / "observed/w/alive"
        os.utime(alive, (1, 1))
        watched.ask_for(2, package)
        await watched.until(lambda: watched.generation() == 2 and alive.stat().st_mtime > 1)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 5) == "done"
        assert watched.generation("slow.m0") is None
        may_end.set()
        await watched.until(lambda: all(watched.generation(f"slow.m{number}") == 1 for number in range(40)))
    finally:
        may_end.set()


@running
async def test_a_sign_of_life_that_cannot_be_given_ends_nothing(watched, package, monkeypatch):
    """The next one is given."""
    beats = iter(range(3))

    def beat(worker):
        if next(beats, None) is not None:
            raise OSError(errno.EIO, "Input/output error")
        os.utime(worker._alive)

    monkeypatch.setattr(Worker, "beat", beat)
    alive = watched.root / "observed/w/alive"
    os.utime(alive, (1, 1))
    watched.ask_for(1, package)

    await watched.until(lambda: watched.generation() == 1 and alive.stat().st_mtime > 1)
