"""Holds serving to its promises.

Subclass ``ServingKit`` and give the fixture ``serving``, whose endpoints answer; it may serve models of other tests.
Where endpoints speak no HTTP, give the fixture ``ask`` as well.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from platform_core.contracts.serving import CANARY, DesiredState, ObservedState, Served, Serving
from platform_core.errors import Unsupported
from platform_core.testing.model_packages import AMOUNT, ENTITY, Constant, write_package

PATIENCE_SECONDS = 20.0
SETTLED_SECONDS = 0.5
KEYS = 250


@dataclass(frozen=True)
class Answered:
    """What came back: HTTP status, the request's id, and who answered with which score."""

    status: int
    request_id: str = ""
    version: str = ""
    role: str = ""
    score: float | None = None


Ask = Callable[[Serving, str, str, float], Answered]
"""``ask(serving, model, key, amount)`` sends one request of one entity and waits for its answer."""


def ask_over_http(serving: Serving, model: str, key: str, amount: float) -> Answered:
    """Ask the endpoint over the Open Inference Protocol V2."""
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [key]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [amount]},
    ]
    body = json.dumps({"inputs": inputs}).encode()
    try:
        with urllib.request.urlopen(f"{serving.endpoint(model)}/infer", body, timeout=PATIENCE_SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        return Answered(error.code)
    said = answer["parameters"]
    return Answered(200, answer["id"], said["version"], said["role"], answer["outputs"][0]["data"][0])


def new_model() -> str:
    """Name a model that no other test has."""
    return f"kit.m{uuid.uuid4().hex[:12]}"


def served(folder: Path, version: str) -> Served:
    """Make a version whose score is a tenth of its number."""
    package = folder / f"package-{uuid.uuid4().hex}"
    return Served(version, write_package(package, Constant(int(version) / 10)), f"cycle-{version}")


def broken(folder: Path, version: str) -> Served:
    """Make a version whose package is an empty folder."""
    package = folder / f"package-{uuid.uuid4().hex}"
    package.mkdir()
    return Served(version, package, f"cycle-{version}")


def wait_for(serving: Serving, model: str, met: Callable[[ObservedState], bool]) -> ObservedState:
    """Wait until the endpoint is seen in a state, and return what is seen at the end of all patience."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not met(seen := serving.observe(model)) and time.monotonic() < end:
        time.sleep(0.02)
    return seen


def come_to(serving: Serving, state: DesiredState) -> None:
    """Apply a state and wait for it."""
    serving.apply(state)
    seen = wait_for(serving, state.model, lambda seen: seen.generation == state.generation and seen.ready)
    assert (seen.generation, seen.ready) == (state.generation, True), seen


class ServingKit:
    """Subclass it, give ``serving``; every test is one promise."""

    @pytest.fixture
    def ask(self) -> Ask:
        """Ask over HTTP."""
        return ask_over_http

    def test_1_apply_brings_the_generation_without_a_failed_request(
        self, serving: Serving, ask: Ask, tmp_path: Path
    ) -> None:
        """While versions change under load every request is answered, and at the end the newest version answers."""
        model, first, second = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        come_to(serving, DesiredState(model, 1, first))
        with Load(serving, ask, model) as load:
            for generation in range(2, 8):
                come_to(serving, DesiredState(model, generation, (first, second)[generation % 2]))
        assert Counter(answer.status for answer in load.answers) == {200: len(load.answers)}
        assert {answer.version for answer in load.answers} <= {"1", "2"}
        last = ask(serving, model, "k", 1.0)
        assert (last.version, last.role, last.score) == ("2", "stable", 0.2)

    def test_2_an_older_generation_never_replaces_a_newer(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """A state that comes late changes nothing."""
        model = new_model()
        come_to(serving, DesiredState(model, 5, served(tmp_path, "2")))
        serving.apply(DesiredState(model, 4, served(tmp_path, "1")))
        time.sleep(SETTLED_SECONDS)
        assert serving.observe(model).generation == 5
        assert ask(serving, model, "k", 1.0).version == "2"

    def test_3_the_split_is_sticky_and_monotone(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """About the share asked for goes to the candidate, the same keys each time, and more percent only adds keys."""
        model, stable, candidate = new_model(), served(tmp_path, "1"), served(tmp_path, "2")

        def taken() -> set[str]:
            answers = {f"key-{n}": ask(serving, model, f"key-{n}", 1.0) for n in range(KEYS)}
            assert {(a.version, a.role) for a in answers.values()} <= {("1", "stable"), ("2", "candidate")}
            return {key for key, answer in answers.items() if answer.role == "candidate"}

        before: set[str] = set()
        for generation, percent in enumerate((0, 20, 20, 60, 100)):
            come_to(serving, DesiredState(model, generation, stable, candidate, percent))
            now = taken()
            assert abs(len(now) / KEYS - percent / 100) < 0.12  # four standard deviations of so many keys
            assert before <= now
            assert generation != 2 or before == now
            before = now

    def test_4_a_version_that_cannot_be_loaded_leaves_the_one_before(
        self, serving: Serving, ask: Ask, tmp_path: Path
    ) -> None:
        """The endpoint goes on as it was, says what is wrong, and takes the next good state."""
        model, good = new_model(), served(tmp_path, "1")
        come_to(serving, DesiredState(model, 1, good))
        for state in (
            DesiredState(model, 2, broken(tmp_path, "2")),
            DesiredState(model, 3, good, broken(tmp_path, "2"), 50),
        ):
            serving.apply(state)
            seen = wait_for(serving, model, lambda seen, n=state.generation: str(n) in seen.problem)  # type: ignore[misc]
            assert seen.problem
            assert (seen.generation, seen.ready) == (1, True)
            assert {ask(serving, model, f"k{n}", 1.0).version for n in range(20)} == {"1"}
        come_to(serving, DesiredState(model, 4, served(tmp_path, "3")))
        assert serving.observe(model).problem == ""

    def test_5_every_answered_request_is_logged_once(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """The log holds each answer once: who gave it, what it was, for which key, on which features."""
        model = new_model()
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1"), served(tmp_path, "2"), 50))
        given = {f"key-{n}": (float(n), ask(serving, model, f"key-{n}", float(n))) for n in range(40)}
        rows = serving.predictions(model)[0].to_pylist()
        assert len(rows) == len(given)
        assert len({row["request_id"] for row in rows}) == len(given)
        for row in rows:
            (key,) = json.loads(row["keys"]).values()
            amount, answer = given[key]
            assert (row["request_id"], row["version"], row["role"]) == (answer.request_id, answer.version, answer.role)
            assert (row["score"], row["status"], row["cycle"]) == (answer.score, 200, f"cycle-{answer.version}")
            assert (json.loads(row["features"]), row["row"]) == ({AMOUNT: amount}, 0)
            assert (row["missing"], row["stale"]) == ([], [])
            assert row["asked_at"] <= row["logged_at"]
            assert row["latency_ms"] >= 0

    def test_6_a_cursor_gives_only_what_came_later(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """What was read is not read again; an old cursor still gives everything after it."""
        model = new_model()
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        cursors: list[str | None] = [None]
        ids: list[str] = []
        for n in range(3):
            ids.append(ask(serving, model, f"key-{n}", 1.0).request_id)
            rows, cursor = serving.predictions(model, cursors[-1])
            assert rows["request_id"].to_pylist() == ids[-1:]
            cursors.append(cursor)
        for n, kept in enumerate(cursors):
            assert set(serving.predictions(model, kept)[0]["request_id"].to_pylist()) == set(ids[n:])

    def test_7_a_candidate_needs_canary(self, serving: Serving, tmp_path: Path) -> None:
        """A vendor that cannot split says so at once."""
        if CANARY in serving.can:
            pytest.skip("this vendor splits")
        with pytest.raises(Unsupported):
            serving.apply(DesiredState(new_model(), 1, served(tmp_path, "1"), served(tmp_path, "2"), 5))


class Load:
    """Asks without a pause from another thread until the block ends; ``answers`` holds what came back."""

    def __init__(self, serving: Serving, ask: Ask, model: str) -> None:
        self.answers: list[Answered] = []
        self._serving, self._ask, self._model = serving, ask, model
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begin, and wait for the first answer."""
        self._thread.start()
        while not self.answers and self._thread.is_alive():
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        """End, and wait for the last answer."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.answers.append(self._ask(self._serving, self._model, f"key-{len(self.answers)}", 1.0))
