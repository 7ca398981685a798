"""From a desired state on disk to the version that answers."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime import watcher as module
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.states import Worker, desired_folder, observed, write_desired
from loopline.platform_core.runtime.watcher import Watcher
from loopline.platform_core.testing.model_packages import Constant, write_package

MODEL = "retail.cancellations"


class Reporter(Worker):
    """A worker whose disk may be full."""

    full = False

    def report(self, model, state):
        """Write, or fail as a full disk does."""
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

    def run(self, story):
        """Tell a story while the watcher runs."""

        async def both():
            task = asyncio.create_task(self.watcher.run())
            try:
                await story(self)
            finally:
                task.cancel()

        asyncio.run(both())

    async def until(self, met):
        """Wait, and fail after 10 s."""
        end = time.monotonic() + 120
        while not met():
            assert time.monotonic() < end, observed(self.root, MODEL)
            await asyncio.sleep(0.01)

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


@pytest.fixture
def watched(tmp_path):
    """Give a watcher."""
    return Watched(tmp_path / "serving")


@pytest.fixture
def package(tmp_path):
    """Give a package."""
    return write_package(tmp_path / "package", Constant(0.1))


def test_ready_after_the_first_look(watched, package):
    """The server is ready when every state was tried, also those that cannot be loaded."""
    watched.ask_for(1, package)
    watched.ask_for(1, package / "nothing", model="other.model")
    assert not watched.watcher.ready

    async def story(w):
        await w.until(lambda: w.watcher.ready)
        assert w.generation() == 1
        assert w.inference.models["other.model"].route is None

    watched.run(story)


def test_changes_in_quick_succession_end_at_the_last(watched, package):
    """However fast they come: file systems tell times in steps of some milliseconds."""

    async def story(w):
        for last in range(10, 200, 10):
            for generation in range(last - 9, last + 1):
                w.ask_for(generation, package)
            await w.until(lambda last=last: w.generation() == last)

    watched.run(story)


def test_a_package_that_comes_late_is_loaded(watched, package, monkeypatch):
    """What cannot be loaded is tried again, without being asked for again."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    away = package.rename(package.with_name("away"))
    watched.ask_for(1, package)

    async def story(w):
        await w.until(lambda: "holds no manifest.json" in w.problem())
        away.rename(package)
        await w.until(lambda: w.generation() == 1)
        assert w.problem() == ""

    watched.run(story)


def test_however_often_a_broken_model_changes_it_is_tried_again_once_a_while(watched, package, monkeypatch):
    """The next try is one, and no longer as many as there were changes."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.5)
    builds = []

    def fail(state, before, trust):
        builds.append(state.generation)
        raise ValueError("broken")

    monkeypatch.setattr(Route, "build", fail)

    async def story(w):
        for generation in range(1, 13):
            w.ask_for(generation, package)
            await w.until(lambda generation=generation: generation in builds)
        await asyncio.sleep(0.6)
        builds.clear()
        await asyncio.sleep(2.1)
        assert 2 <= len(builds) <= 5

    watched.run(story)


def test_a_torn_state_leaves_what_is_there(watched, package):
    """It is told, and the next good state is taken."""
    watched.ask_for(1, package)

    async def story(w):
        await w.until(lambda: w.generation() == 1)
        file = desired_folder(w.root) / f"{MODEL}.json"
        file.write_text("{")
        await w.until(lambda: "no desired state" in w.problem())
        assert w.generation() == 1
        file.unlink()
        w.ask_for(2, package)
        await w.until(lambda: w.generation() == 2)

    watched.run(story)


def test_promotion_loads_nothing_again(watched, package, tmp_path):
    """The candidate's model in memory becomes the stable version's."""
    candidate = write_package(tmp_path / "candidate", Constant(0.2))
    watched.ask_for(1, package, candidate, 25)

    async def story(w):
        await w.until(lambda: w.generation() == 1)
        before = w.inference.models[MODEL].route.candidate.model
        write_desired(w.root, DesiredState(MODEL, 2, Served("2", candidate, "c2")))
        await w.until(lambda: w.generation() == 2)
        assert w.inference.models[MODEL].route.stable.model is before
        assert w.inference.models[MODEL].route.candidate is None

    watched.run(story)


def test_a_slow_model_holds_up_no_other(watched, package, tmp_path):
    """While one package cannot be read to its end another model changes; then the slow one has its newest state."""
    slow = tmp_path / "slow"
    slow.mkdir()
    os.mkfifo(slow / "manifest.json")  # reading waits for a writer
    watched.ask_for(1, slow)

    async def story(w):
        await w.until(lambda: MODEL in w.inference.models)
        watched.ask_for(1, package, model="other.model")
        await w.until(lambda: w.generation("other.model") == 1)
        assert w.generation() is None
        w.ask_for(2, package)
        await asyncio.to_thread(slow.joinpath("manifest.json").write_text, "{}")
        await w.until(lambda: w.generation() == 2)

    watched.run(story)


def test_a_disk_that_is_full_for_a_while_keeps_no_model_from_changing(watched, package):
    """What could not be reported is reported once there is room, at a start too, and later states are followed."""
    watched.worker.full = True
    watched.ask_for(1, package)

    async def story(w):
        await w.until(lambda: w.watcher.ready)
        w.ask_for(2, package)
        await w.until(lambda: w.generation() == 2)
        assert observed(w.root, MODEL)[0].generation is None
        w.worker.full = False
        await w.until(lambda: observed(w.root, MODEL)[0].generation == 2)
        w.ask_for(3, package)
        await w.until(lambda: observed(w.root, MODEL)[0].generation == 3)

    watched.run(story)


def test_a_torn_state_that_could_not_be_reported_is_reported_later(watched, package):
    """Nobody need ask again."""
    watched.worker.full = True
    (desired_folder(watched.root) / f"{MODEL}.json").write_text("{")

    async def story(w):
        await w.until(lambda: w.watcher.ready)
        w.worker.full = False
        await w.until(lambda: "no desired state" in w.problem())

    watched.run(story)


def test_a_state_that_cannot_be_read_is_read_later(watched, package):
    """Other models come meanwhile; not everything was tried, so the server is not ready, and nobody need ask again."""
    watched.ask_for(1, package)
    file = desired_folder(watched.root) / f"{MODEL}.json"
    there = watched.root / "there.json"
    file.rename(there.with_suffix(".later"))
    file.symlink_to(there)
    watched.ask_for(1, package, model="other.model")
    os.utime(file.parent, (1, 1))

    async def story(w):
        await w.until(lambda: w.generation("other.model") == 1)
        await asyncio.sleep(0.1)
        assert not w.watcher.ready
        there.with_suffix(".later").rename(there)
        await w.until(lambda: w.generation() == 1)
        await w.until(lambda: w.watcher.ready)

    watched.run(story)


def test_many_slow_loads_hold_up_nothing_else(watched, package, tmp_path, monkeypatch):
    """Whatever the server does in threads goes on, and so do its sign of life, its looks and a roll-back."""
    candidate, build, may_end = write_package(tmp_path / "candidate", Constant(0.2)), Route.build, threading.Event()

    def slow(state, before, trust):
        assert state.model == MODEL or may_end.wait(300)
        return build(state, before, trust)

    monkeypatch.setattr(Route, "build", slow)
    watched.ask_for(1, package, candidate, 25)

    async def story(w):
        await w.until(lambda: w.generation() == 1)
        for number in range(40):
            w.ask_for(1, package, model=f"slow.m{number}")
        await w.until(lambda: len(w.inference.models) == 41)
        alive = w.root / "observed/w/alive"
        os.utime(alive, (1, 1))
        w.ask_for(2, package)
        await w.until(lambda: w.generation() == 2 and alive.stat().st_mtime > 1)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 5) == "done"
        assert w.generation("slow.m0") is None
        may_end.set()
        await w.until(lambda: all(w.generation(f"slow.m{number}") == 1 for number in range(40)))

    try:
        watched.run(story)
    finally:
        may_end.set()


def test_a_sign_of_life_that_cannot_be_given_ends_nothing(watched, package, monkeypatch):
    """The next one is given."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    beats = iter(range(3))

    def beat(worker):
        if next(beats, None) is not None:
            raise OSError(errno.EIO, "Input/output error")
        os.utime(worker._alive)

    monkeypatch.setattr(Worker, "beat", beat)
    alive = watched.root / "observed/w/alive"
    os.utime(alive, (1, 1))
    watched.ask_for(1, package)

    async def story(w):
        await w.until(lambda: w.generation() == 1 and alive.stat().st_mtime > 1)

    watched.run(story)
