"""Runs measured work in processes of its own, the sides in turns, so that what else the machine does hits both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent
T = TypeVar("T")


def in_turns(sides: Mapping[str, Callable[[], T]], times: int) -> dict[str, list[T]]:
    """Call each side so many times: A B, B A, A B and so on."""
    taken: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(times):
        names = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in names:
            taken[name].append(sides[name]())
    return taken


def wall_seconds(command: Sequence[str]) -> float:
    """Run a command to its end and return the seconds that it took, the process's start included."""
    began = perf_counter()
    _run(command)
    return perf_counter() - began


def json_lines(module: str, *arguments: object, python: str = sys.executable) -> list[dict[str, Any]]:
    """Run a module of ours, by a peer's Python too, and return what it printed, a JSON object a line."""
    done = _run([python, "-m", module, *map(str, arguments)])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@contextmanager
def asked(module: str, *arguments: object) -> Iterator[Callable[[], dict[str, Any]]]:
    """Start a module of ours that measures once more for each line it reads; yield what asks it and returns the answer.

    Several of them can take turns that way, each with what its process remembers. Each answer is a JSON object.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(),
            text=True,
            bufsize=1,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        writes, reads = process.stdin, process.stdout

        def ask() -> dict[str, Any]:
            with suppress(BrokenPipeError):
                writes.write("once more\n")
            for line in reads:
                if line.startswith("{"):
                    answer: dict[str, Any] = json.loads(line)
                    return answer
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.wait()}:\n{errors.read()[-3000:]}")

        try:
            yield ask
        finally:
            with suppress(BrokenPipeError):
                writes.close()
            reads.close()
            process.wait()


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process; one that does not end itself in time is killed, as a code server of Dagster's must be at times."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def medians(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done


def _environment() -> dict[str, Any]:
    return os.environ | {"PYTHONWARNINGS": "ignore", "DAGSTER_DISABLE_TELEMETRY": "yes", "PYTHONPATH": str(ROOT)}
