"""Journal of a search's trials: a file that survives a crash."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from loopline.platform_core.specs.examples import Params


class Trial(msgspec.Struct, frozen=True):
    """One trial: its parameters, its score (None when it was pruned), what it reported, and how long it took."""

    number: int
    params: dict[str, str | float | int | bool]
    value: float | None
    steps: list[tuple[int, float]]
    seconds: float = 0.0


class Journal:
    """One JSON line a trial; a line that was not finished does not count, and the next one takes its place."""

    def __init__(self, path: Path, trials: dict[int, Trial], file: int) -> None:
        self.path = path
        self.trials = trials
        self._file = file
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what is there and go on after it; one process at a time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        os.ftruncate(file, len(whole))
        os.lseek(file, 0, os.SEEK_END)
        trials = [msgspec.json.decode(line, type=Trial) for line in whole.splitlines()]
        return cls(path, {trial.number: trial for trial in trials}, file)

    def find(self, number: int, params: Params) -> Trial | None:
        """Return a trial if it was made with these very parameters."""
        trial = self.trials.get(number)
        return trial if trial is not None and _same(trial.params, params) else None

    def add(self, trial: Trial) -> Trial:
        """Keep a trial; it counts from now on, whatever happens to this process."""
        with self._lock:
            os.write(self._file, msgspec.json.encode(trial) + b"\n")
            self.trials[trial.number] = trial
        return trial

    def __enter__(self) -> Self:
        """Use it in a with statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        os.close(self._file)


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return dict(one) == dict(other)
