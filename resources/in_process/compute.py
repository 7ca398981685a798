"""Compute in the calling process, for tests and debugging."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pydantic import PrivateAttr

from loopline.platform_core import worker
from loopline.platform_core.contracts.compute import Compute, Json
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.specs.model import Requirements


class InProcessCompute(Compute):
    """Runs the task at once in the caller's thread; results are remembered as long as the process lives."""

    _results: dict[str, Json] = PrivateAttr(default_factory=dict)
    _locks: defaultdict[str, threading.Lock] = PrivateAttr(default_factory=lambda: defaultdict(threading.Lock))

    @contextmanager
    def set_apart(self, name: str) -> Iterator[InProcessCompute]:  # noqa: ARG002 - what it remembers ends with it
        """Give another one."""
        yield self.with_settings()

    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Run the task, or return what it returned before.

        Raises:
            Unsupported: it needs more than this machine has, or more workers than the caller, who is one.
        """
        worker.require(requirements)
        if requirements.workers > 1:
            raise Unsupported(
                f"the task needs {requirements.workers} workers, in_process runs it in its caller",
                "bind the compute vendor 'subprocess' or 'kubernetes', or ask for one worker",
            )
        with self._locks[key]:
            if key not in self._results:
                self._results[key] = worker.call(task, args)
            return self._results[key]
