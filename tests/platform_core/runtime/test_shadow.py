"""What was answered is replayed through a shadow, each request once, from the log alone."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event

import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.clock import WallClock
from loopline.platform_core.runtime import replay, shadow_log, states
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record
from loopline.platform_core.runtime.prediction_log.log_table import read_after
from loopline.platform_core.runtime.prediction_log.segment import Segment
from loopline.platform_core.runtime.shadow import Shadows
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.testing.parts.model_packages import AMOUNT, Column, Constant, write_package

MODEL = "retail.cancellations"
HISTORY = ViewField("retail.history.v1", "customer_id", ["orders", "country"])


class Picky(Constant):
    """Fails where an amount is 13, also when it is one among many."""

    def predict_proba(self, x):
        if (x[:, 0] == 13).any():
            raise ValueError("thirteen")
        return super().predict_proba(x)


class Infinite(Constant):
    """Its probability is no number."""

    def predict_proba(self, x):
        """Answer with NaN, but for the zeros of the first call."""
        return super().predict_proba(x) * (float("nan") if x.any() else 1.0)


@dataclass
class Scene:
    """A serving folder: a worker's log, and shadow processes that come and go."""

    root: Path
    born: int = 0
    generation: int = 0
    worker: PredictionLog | None = None
    made: dict[str, Served] = field(default_factory=dict)

    def served(self, version: str, estimator: object, **package: object) -> Served:
        """Package a version."""
        folder = write_package(self.root.parent / f"v{version}-{len(self.made)}", estimator, **package)
        self.made[version] = Served(version, folder, f"cycle-{version}")
        return self.made[version]

    def want(self, shadow: Served | None) -> None:
        """Ask for a shadow."""
        self.generation += 1
        states.write_desired(self.root, DesiredState(MODEL, self.generation, self.made["1"], None, 0, shadow))

    def answer(self, *amounts: float, rows: int = 1, version: str = "1", worker: str = "w") -> None:
        """Log requests as a worker does."""
        if self.worker is None or self.worker._worker != worker:
            self.worker = PredictionLog(self.root, worker)
        for amount in amounts:
            served = {"keys": ['{"customer_id":"c"}'] * rows, "features": [json.dumps({AMOUNT: amount})] * rows}
            empty = {"missing": [[]] * rows, "stale": [[]] * rows, "asked_at_us": 3}
            said = {"version": version, "cycle": "c", "role": "stable", "status": 200, "scores": [0.1] * rows}
            times = {"event_time_us": 1, "logged_at_us": 4, "latency_ms": 1.0}
            self.worker.write(MODEL, Record(request_id=f"{worker}{amount:g}", **times, **said, **served, **empty))

    def process(self) -> Shadows:
        """Start as a process does, with a log of its own; nothing of the one before is closed, as after a kill."""
        self.born += 1
        worker = Worker(self.root / "shadow", f"{self.born}")
        log_ = PredictionLog(self.root, f"{shadow_log.PREFIX}{self.born}")
        return Shadows(self.root, worker, log_, WallClock())

    def run(self) -> list[dict]:
        """Replay in a new process, and return all that shadows said."""
        self.process().step(Event())
        return self.said()

    def said(self) -> list[dict]:
        """Return the rows of shadows."""
        return [row for row in read_after(self.root, MODEL, None)[0].to_pylist() if row["role"] == "shadow"]

    def problem(self) -> str:
        """Return what the living processes say is wrong."""
        return " ".join(one.problem for one in states.observed(self.root / "shadow", MODEL))


@pytest.fixture
def scene(tmp_path):
    """Serve version 1."""
    scene = Scene(tmp_path / "serving")
    scene.served("1", Constant(0.1))
    return scene


def ids(rows):
    """Return the requests' ids."""
    return [row["request_id"] for row in rows]


def test_it_sees_what_the_caller_s_version_saw(scene):
    """Features from the log, row by row; score, version, cycle and status are the shadow's own."""
    scene.want(scene.served("2", Column(0)))
    scene.answer(0.25, 0.5, rows=2)
    rows = scene.run()
    assert [(row["request_id"], row["row"], row["score"]) for row in rows] == [
        ("w0.25", 0, 0.25),
        ("w0.25", 1, 0.25),
        ("w0.5", 0, 0.5),
        ("w0.5", 1, 0.5),
    ]
    assert {(row["version"], row["cycle"], row["status"]) for row in rows} == {("2", "cycle-2", 200)}
    assert all(row["latency_ms"] > 0 for row in rows)
    assert rows[0]["event_time"] < rows[0]["asked_at"] < rows[0]["logged_at"]


def test_it_begins_when_it_was_asked_for(scene):
    """Not at the log's start, and not when its process comes to look."""
    scene.answer(1)
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(2, 3)
    scene.answer(4, worker="x")
    assert ids(scene.run()) == ["w2", "w3", "x4"]


def test_a_new_process_goes_on_where_the_frames_end(scene):
    """Whatever became of the one before, also when its last frame is torn."""
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(1, 2)
    scene.run()
    scene.answer(3)
    (own,) = (file for file in log.log_folder(scene.root, MODEL).glob("shadow-*"))
    own.write_bytes(own.read_bytes()[:-5])
    assert ids(scene.run()) == ["w1", "w2", "w3"]
    assert ids(scene.run()) == ["w1", "w2", "w3"]


def test_one_process_replays_what_comes(scene):
    """Step by step, and a change of percent or generation begins nothing anew."""
    shadow = scene.served("2", Constant(0.2))
    scene.want(shadow)
    shadows = scene.process()
    for amount in (1, 2, 3):
        scene.answer(amount)
        scene.want(shadow)
        shadows.step(Event())
    assert ids(scene.said()) == ["w1", "w2", "w3"]
    assert states.observed(scene.root / "shadow", MODEL)[0].generation == scene.generation


def test_another_version_begins_anew_and_so_does_one_that_comes_back(scene):
    """What was answered while it was no shadow is not replayed."""
    first, second = scene.served("2", Constant(0.2)), scene.served("3", Constant(0.3))
    shadows = scene.process()
    for amount, shadow in enumerate((first, second, None, first)):
        scene.want(shadow)
        scene.answer(amount)
        shadows.step(Event())
    assert [(row["request_id"], row["version"]) for row in scene.said()] == [("w0", "2"), ("w1", "3"), ("w3", "2")]


def test_a_request_that_it_fails_is_its_error_and_of_no_other(scene):
    """Timed alone or predicted among many; NaN is a failure too."""
    scene.want(scene.served("2", Picky(0.2)))
    scene.answer(*range(100, 180), 13, *range(180, 200))
    scene.answer(13, worker="x")
    rows = scene.run()
    assert [row["request_id"] for row in rows if row["status"] == 500] == ["w13", "x13"]
    assert {row["score"] for row in rows if row["status"] == 200} == {0.2}
    scene.want(scene.served("3", Infinite(0.2)))
    scene.answer(7, worker="y")
    assert [(r["status"], r["score"]) for r in scene.run() if r["version"] == "3"] == [(500, None)]


def test_of_each_batch_the_first_are_timed_alone(scene, monkeypatch):
    """The rest is predicted in one call and has no latency, since that would not be a server's."""
    monkeypatch.setattr(replay, "BATCH", 8)
    monkeypatch.setattr(replay, "TIMED", 3)
    scene.want(scene.served("2", Picky(0.2)))
    scene.answer(*range(20, 40), rows=2)
    timed = [row["latency_ms"] is not None for row in scene.run() if row["row"] == 0]
    assert timed == ([True] * 3 + [False] * 5) * 2 + [True] * 3 + [False]


def test_features_that_the_log_lacks_are_told(scene):
    """Such requests are left out; one of a version that logs them would be replayed."""
    scene.want(scene.served("2", Constant(0.2), views=[HISTORY]))
    scene.answer(1)
    shadows = scene.process()
    shadows.step(Event())
    assert scene.said() == []
    assert "version 2 reads 'orders', which version 1 logs none of" in scene.problem()
    assert "shadow_requests=0" in scene.problem()


def test_what_it_answers_itself_is_not_replayed(scene):
    """A version may be candidate and shadow of another generation."""
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(1, version="2")
    scene.answer(2)
    assert ids(scene.run()) == ["w2"]


def test_a_version_that_cannot_be_loaded_is_told_and_tried_again(scene, monkeypatch):
    """Once its package is whole, what was answered meanwhile is replayed."""
    monkeypatch.setattr("loopline.platform_core.runtime.shadow.RETRY_SECONDS", 0.0)
    shadow = scene.served("2", Constant(0.2))
    manifest = shadow.package / "manifest.json"
    whole = manifest.read_bytes()
    manifest.unlink()
    scene.want(shadow)
    scene.answer(1)
    shadows = scene.process()
    shadows.step(Event())
    assert "holds no manifest.json" in scene.problem()
    manifest.write_bytes(whole)
    shadows.step(Event())
    assert (ids(scene.said()), scene.problem()) == (["w1"], "")


def test_told_to_stop_it_ends_after_a_batch(scene, monkeypatch):
    """The next process goes on from there."""
    monkeypatch.setattr(replay, "BATCH", 2)
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(*range(1, 8))
    stop = Event()
    stop.set()
    scene.process().step(stop)
    assert ids(scene.said()) == ["w1", "w2"]
    assert ids(scene.run()) == [f"w{n}" for n in range(1, 8)]


def test_a_deploy_of_another_model_repeats_nothing_twice(scene, monkeypatch):
    """It ends the step after a batch, which is behind us all the same."""
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(*range(1, 8))
    shadows = scene.process()
    monkeypatch.setattr(shadows, "_changed", lambda: True)
    for _ in range(3):
        shadows.step(Event())
    assert ids(scene.said()) == [f"w{n}" for n in range(1, 8)]


def test_a_disk_that_is_full_in_the_midst_of_a_batch_repeats_nothing_twice(scene, monkeypatch):
    """What was written before is behind us, the rest comes once there is room."""
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(*range(1, 8))
    shadows = scene.process()
    with monkeypatch.context() as patch:
        patch.setattr(Segment, "append", for_the_first(3, Segment.append))
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="No space"):
                shadows.step(Event())
    shadows.step(Event())
    assert ids(scene.said()) == [f"w{n}" for n in range(1, 8)]


def for_the_first(most, append):
    """Let so many writes succeed, and then none."""
    room = count()

    def appended(segment, frames):
        if next(room) >= most:
            full()
        append(segment, frames)

    return appended


def test_a_state_that_cannot_be_read_is_read_later(scene):
    """Nobody need ask again, though nothing in the folder changes any more."""
    scene.want(scene.served("2", Constant(0.2)))
    scene.answer(1)
    file = states.desired_folder(scene.root) / f"{MODEL}.json"
    there = file.rename(scene.root / "state.json")
    file.symlink_to(scene.root / "nothing.json")
    os.utime(file.parent, (1, 1))
    shadows = scene.process()
    shadows.step(Event())
    assert scene.said() == []
    there.rename(scene.root / "nothing.json")
    shadows.step(Event())
    assert ids(scene.said()) == ["w1"]
    (scene.root / "nothing.json").rename(there)
    os.utime(file.parent, (2, 2))
    scene.answer(2)
    shadows.step(Event())
    assert ids(scene.said()) == ["w1", "w2"]


def test_what_could_not_be_reported_is_reported_later(scene, monkeypatch):
    """The disk is full when the first report comes."""
    scene.want(scene.served("2", Constant(0.2)))
    shadows = scene.process()
    with monkeypatch.context() as patch:
        patch.setattr("loopline.platform_core.runtime.states.Worker.report", full)
        with pytest.raises(OSError, match="No space"):
            shadows.step(Event())
    shadows.step(Event())
    assert states.observed(scene.root / "shadow", MODEL)[0].generation == scene.generation


def full(*_: object) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device")
