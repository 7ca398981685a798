"""Test client of the serving kit: calls endpoints over HTTP and gRPC, makes versions, waits with a deadline."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served, Serving
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY, Constant, write_package

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE_SECONDS = 20.0
LEAST_LOOKS = 10
"""So often is looked at least, however slow the machine is: patience is for what is looked at."""
SETTLED_SECONDS = 0.5
LOAD_PAUSE_SECONDS = 0.005
"""After each answer: a hundred a second are asked for, and the machine is left to what changes meanwhile."""


def settle() -> None:
    """Wait as long as it may take until what should not happen would have happened."""
    time.sleep(SETTLED_SECONDS)


NO_ANSWER = 0


@dataclass(frozen=True)
class Answered:
    """What came back: HTTP status, the request's id, and who answered with which score.

    ``problem`` says why nothing came back, and the status is then ``NO_ANSWER``.
    """

    status: int
    request_id: str = ""
    version: str = ""
    role: str = ""
    score: float | None = None
    problem: str = ""


Ask = Callable[[Serving, str, str, float], Answered]
"""``ask(serving, model, key, amount)`` sends one request of one entity and waits for its answer."""


def ask_over_http(
    serving: Serving, model: str, key: str, amount: float, headers: Mapping[str, str] | None = None
) -> Answered:
    """Ask the endpoint over the Open Inference Protocol V2."""
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [key]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [amount]},
    ]
    body = json.dumps({"inputs": inputs}).encode()
    request = urllib.request.Request(f"{serving.endpoint(model)}/infer", body, dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        return Answered(error.code)
    said = answer["parameters"]
    return Answered(200, answer["id"], said["version"], said["role"], answer["outputs"][0]["data"][0])


def ask_over_grpc(serving: Serving, model: str, key: str, amount: float) -> Answered:
    """Ask the endpoint the same over gRPC, with typed contents."""
    import grpc

    from loopline.platform_core.runtime.grpc.messages import SERVICE, message

    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "contents": {"bytes_contents": [key.encode()]}},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "contents": {"fp64_contents": [amount]}},
    ]
    asked, answered = message("ModelInferRequest"), message("ModelInferResponse")
    with grpc.insecure_channel(serving.grpc_endpoint(model)) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer", asked.SerializeToString, answered.FromString)
        answer = call(asked(model_name=model, inputs=inputs), timeout=PATIENCE_SECONDS)
    said = {name: value.string_param for name, value in answer.parameters.items()}
    score = answer.outputs[0].contents.fp64_contents[0]
    return Answered(200, answer.id, said["version"], said["role"], score)


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


def logged_after(serving: Serving, model: str, after: str | None, count: int) -> tuple[pa.Table, str]:
    """Read the log after a cursor, of a vendor that needs a while for it again until so many rows are there."""
    found = serving.predictions(model, after)
    if serving.log_delay_seconds:
        end = time.monotonic() + PATIENCE_SECONDS
        while found[0].num_rows < count and time.monotonic() < end:
            time.sleep(0.1)
            found = serving.predictions(model, after)
    return found


def wait_until(met: Callable[[], bool]) -> bool:
    """Wait until something is so; says whether it came to be before the end of all patience."""
    so = met()
    for _ in _looks():
        if so:
            break
        so = met()
    return so


def wait_for(serving: Serving, model: str, met: Callable[[ObservedState], bool]) -> ObservedState:
    """Wait until the endpoint is seen in a state, and return what is seen at the end of all patience."""
    seen = serving.observe(model)
    for _ in _looks():
        if met(seen):
            break
        seen = serving.observe(model)
    return seen


def _looks() -> Iterator[int]:
    """Count looks, with a pause before each, until patience is over and there were enough."""
    end = time.monotonic() + PATIENCE_SECONDS
    for look in count(1):
        if look > LEAST_LOOKS and time.monotonic() >= end:
            return
        time.sleep(0.02)
        yield look


def come_to(serving: Serving, state: DesiredState) -> None:
    """Apply a state and wait for it."""
    serving.apply(state)
    seen = wait_for(serving, state.model, lambda seen: seen.generation == state.generation and seen.ready)
    assert (seen.generation, seen.ready) == (state.generation, True), seen


class Load:
    """Asks on and on from another thread until the block ends; ``answers`` holds what came back.

    A request whose connection broke has failed like one that was refused, and is among them.
    """

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
            self.answers.append(self._answer(f"key-{len(self.answers)}"))
            self._ended.wait(LOAD_PAUSE_SECONDS)

    def _answer(self, key: str) -> Answered:
        try:
            return self._ask(self._serving, self._model, key, 1.0)
        except Exception as error:  # noqa: BLE001 - whatever it was, a caller had no answer
            return Answered(NO_ANSWER, problem=repr(error))
