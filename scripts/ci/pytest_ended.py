"""A plugin of pytest that tells CI how pytest ended, and what went wrong within it; make's exit code shows neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

STATUS = "ci/status"
ERRORS = "ci-errors"
MAIN = "main"


class Ended:
    """Writes into pytest's cache."""

    def __init__(self, cache: pytest.Cache, process: str) -> None:
        self._cache, self._process = cache, process

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Keep what went wrong outside of a test, a file a process: a worker's own error comes before what follows."""
        (self._cache.mkdir(ERRORS) / f"{self._process}.txt").write_text(str(excrepr), encoding="utf-8")

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Keep the exit status of the main process."""
        if self._process == MAIN:
            self._cache.set(STATUS, int(exitstatus))


def pytest_configure(config: pytest.Config) -> None:
    """Begin."""
    if config.cache is not None:
        worker = getattr(config, "workerinput", None)  # pytest-xdist's; its variables reach what a test starts
        config.pluginmanager.register(Ended(config.cache, worker["workerid"] if worker else MAIN), "ci-ended")


def status(cache: Path) -> int | None:
    """Return pytest's exit status; None if it did not end by itself."""
    file = cache / "v" / STATUS
    return int(file.read_text(encoding="utf-8")) if file.exists() else None


def errors(cache: Path) -> list[str]:
    """Return what went wrong within pytest, workers' errors first."""
    return [file.read_text(encoding="utf-8") for file in sorted((cache / "d" / ERRORS).glob("*.txt"))]
