"""A task until its job is made, until it runs and until its answer is read: our compute, and the client alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.managed_jobs import azure_ml, sagemaker, vertex
from benchmarks.managed_jobs.service import VALUE, Service
from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns, medians

HOW = """One small task that returns what it was given, on the strict fakes of the tests, which run each job's container
as a process: the service itself takes minutes where the fake takes none, and the same for both sides. By hand is the
service's own client: it writes the same task into the same bucket, asks for the same job, asks as often how it is, and
reads its answer. Ours looks first whether the key has a job already, and reads the log to its end. Seconds from the
call, by the fake's own times of a job."""
HEADER = ("service, side", "the service has it", "it runs", "answer")
MADE, RUNS, ANSWER = "made", "runs", "answer"
MOST_SECONDS = 0.5
Stages = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure both sides on each service, in turns."""
    times = 2 if quick else 9
    rows: list[list[str]] = []
    promises: list[Promise] = []
    with TemporaryDirectory(prefix="loopline-bench-") as folder, ExitStack() as stack:
        services = {"SageMaker": sagemaker.opened, "Vertex AI": vertex.opened, "Azure ML": azure_ml.opened}
        for name, opened in services.items():
            service = stack.enter_context(opened(Path(folder) / name.replace(" ", "")))
            found = _measured(service, times)
            rows += [
                [f"{name}, {side}", *(f"{stages[s]:.2f} s" for s in (MADE, RUNS, ANSWER))]
                for side, stages in found.items()
            ]
            late = found["ours"][RUNS] - found["by hand"][RUNS]
            promises.append(Promise(f"{name}: later than by hand it runs", late, MOST_SECONDS, " s"))
    return Section("Tasks as jobs of a cloud's ML service", HOW, HEADER, rows, promises)


def _measured(service: Service, times: int) -> dict[str, Stages]:
    numbers = count(1)
    sides = {
        "ours": lambda: _ours(service, f"ours-{next(numbers)}"),
        "by hand": lambda: _hand(service, f"hand-{next(numbers)}"),
    }
    for side in sides.values():
        side()  # connections and imports are warm then
    return {side: medians(runs) for side, runs in in_turns(sides, times).items()}


def _ours(service: Service, key: str) -> Stages:
    return _timed(service, lambda: service.ours(key), service.name_of(key))


def _hand(service: Service, name: str) -> Stages:
    return _timed(service, service.by_hand(name), name)


def _timed(service: Service, run: Callable[[], Any], job: str) -> Stages:
    began = time.time()
    answer = run()
    done = time.time()
    if answer["value"] != VALUE:
        raise RuntimeError(f"a wrong answer: {answer}")
    made, runs = service.times(job)
    return {MADE: made - began, RUNS: runs - began, ANSWER: done - began}
