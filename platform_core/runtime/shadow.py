"""Replay answered requests through shadows: ``python -m loopline.platform_core.runtime.shadow --environment FILE``.

A process of its own beside the inference server, which does nothing for it and does not wait for it: it gets the
processor time that nobody else wants. Of several such processes one works, the others wait for its end.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from loopline.platform_core import environment
from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.platform_core.foundation import clock
from loopline.platform_core.foundation.clock import Clock
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.platform_core.runtime import shadow_log, states
from loopline.platform_core.runtime.prediction_log import open_files
from loopline.platform_core.runtime.prediction_log.log import PredictionLog
from loopline.platform_core.runtime.replay import Replay, ShadowModel
from loopline.platform_core.runtime.states import Worker

POLL_SECONDS = 0.2
RETRY_SECONDS = 5.0
_SETTLED_NS = 1_000_000_000
_LOG = logging.getLogger(__name__)


class Shadows:
    """The shadows of every model; ``step`` looks at the desired states and replays what has come since."""

    def __init__(self, root: Path, worker: Worker, log: PredictionLog, time: Clock) -> None:
        self._root, self._worker, self._log, self._clock = root, worker, log, time
        self._wanted: dict[str, DesiredState] = {}
        self._replays: dict[str, Replay] = {}
        self._failed: dict[str, tuple[Served, float]] = {}
        self._told: dict[str, ObservedState] = {}
        self._looked_ns = 0

    def step(self, stop: Event) -> None:
        """Look once; a replay is left after a batch when the desired states change or we are to stop."""
        self._look()
        for model, state in self._wanted.items():
            replay = self._replay(model, state)
            for _ in replay.run(self._log) if replay else ():
                if stop.is_set() or self._changed():
                    break
            if replay:
                self._tell(model, ObservedState(state.generation, ready=True, problem=replay.problem))
        self._log.sync()

    def _changed(self) -> bool:
        looked = states.desired_folder(self._root).stat().st_mtime_ns
        return looked != self._looked_ns

    def _look(self) -> None:
        looked = states.desired_folder(self._root).stat().st_mtime_ns
        if looked == self._looked_ns and time.time_ns() - looked > _SETTLED_NS:
            return
        wanted: dict[str, DesiredState] = {}
        failed: OSError | None = None
        for file in states.desired_files(self._root):
            try:
                state: DesiredState | None = states.read_desired(file.read_bytes())
            except LooplineError:  # the server tells of a state that is none
                continue
            except OSError as error:
                failed, state = error, self._wanted.get(file.stem)
            if state is not None and state.shadow is not None:
                wanted[state.model] = state
        self._wanted, self._looked_ns = wanted, 0 if failed else looked
        for model in set(self._replays) - set(wanted):
            del self._replays[model]
        if failed:
            _LOG.error("a desired state cannot be read, and is tried again: %s", failed)

    def _replay(self, model: str, state: DesiredState) -> Replay | None:
        """Return the replay of a model, begun anew for another version; one that cannot be loaded is tried again."""
        assert state.shadow is not None
        known = self._replays.get(model)
        if known is not None and known.shadow.served == state.shadow:
            return known
        failed, at = self._failed.get(model, (None, 0.0))
        if failed == state.shadow and time.monotonic() - at < RETRY_SECONDS:
            return None
        self._replays.pop(model, None)
        try:
            self._replays[model] = Replay(self._root, model, ShadowModel(state.shadow), self._clock)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the other shadows go on
            self._failed[model] = (state.shadow, time.monotonic())
            problem = f"generation {state.generation}: shadow: {error}"
            self._tell(model, ObservedState(None, ready=False, problem=problem))
        return self._replays.get(model)

    def _tell(self, model: str, state: ObservedState) -> None:
        if self._told.get(model) != state:
            self._worker.report(model, state)
            self._told[model] = state


def run(root: Path, time: Clock, stop: Event) -> None:
    """Replay until told to stop."""
    with _only_one(root):
        worker = Worker(root / "shadow", f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}")
        log = PredictionLog(root, f"{shadow_log.PREFIX}{worker.name}")
        shadows = Shadows(root, worker, log, time)
        while not stop.is_set():
            try:
                shadows.step(stop)
            except (OSError, LooplineError):
                _LOG.exception("the log cannot be replayed now; it is tried again")
            stop.wait(POLL_SECONDS)
        log.close()
        worker.leave()


def main() -> int:
    """Replay until a signal says stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.platform_core.runtime.shadow", description=__doc__)
    parser.add_argument("--environment", type=Path, default=environment.environment_file(), help="environment file")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stop = Event()
    try:
        bound = environment.read(parser.parse_args().environment, only=("serving",))
        root = _root(bound)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    _stand_back()
    open_files.take_all()
    with set_by_signals(stop):
        run(root, clock.chosen(bound.clock), stop)
    return 0


def _root(bound: environment.Environment) -> Path:
    vendor = bound.bindings["serving"]
    if not hasattr(vendor, "root"):
        raise InvalidEnvironment(
            f"{bound.path}: {type(vendor).__name__} does not say where a server of ours logs",
            "bind serving to a vendor with root, such as 'local'",
        )
    return Path(vendor.root)


def _stand_back() -> None:
    """Take only the processor time that nobody else wants."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Wait until no other process replays; the kernel lets go of the lock when its holder dies."""
    folder = root / "shadow"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.joinpath(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
