"""Shadow traffic: replays answered requests. ``python -m loopline.platform_core.runtime.shadow --environment FILE``.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

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
from loopline.platform_core.signing.trust import trust_of

if TYPE_CHECKING:
    from loopline.platform_core.signing.trust import Trust

POLL_SECONDS = 0.2
RETRY_SECONDS = 5.0
_SETTLED_NS = 1_000_000_000
_LOG = logging.getLogger(__name__)


class Shadows:
    """The replays of every model; ``step`` looks at the desired states and replays what has come since."""

    def __init__(self, root: Path, worker: Worker, log: PredictionLog, time: Clock, trust: Trust | None = None) -> None:
        self._root, self._worker, self._log, self._clock, self._trust = root, worker, log, time, trust
        self._wanted: dict[str, DesiredState] = {}
        self._replays: dict[tuple[str, str], Replay] = {}
        self._models: dict[tuple[str, Served], ShadowModel] = {}
        self._failed: dict[tuple[str, Served], tuple[str, float]] = {}
        self._reported: dict[str, ObservedState] = {}
        self._looked_ns = 0

    def step(self, stop: Event) -> None:
        """Look once; a replay is left after a batch when the desired states change or we are to stop."""
        self._look()
        for model, state in self._wanted.items():
            replays = self._replays_of(model, state)
            for _ in chain.from_iterable(replay.run(self._log) for replay in replays):
                if stop.is_set() or self._changed():
                    break
            self._report_replays(model, state, replays)
        self._log.sync()

    def _report_replays(self, model: str, state: DesiredState, replays: Sequence[Replay]) -> None:
        """Report what a model's replays are, and the first trouble."""
        broken = (self._failed.get((model, version)) for version in state.replaying)
        missing = [f"generation {state.generation}: shadow: {told[0]}" for told in broken if told]
        problems = [*missing, *(replay.problem for replay in replays if replay.problem), ""]
        generation = None if missing and not replays else state.generation
        self._report_state(model, ObservedState(generation, ready=bool(replays), problem=problems[0]))

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
            if state is not None and state.replaying:
                wanted[state.model] = state
        self._wanted, self._looked_ns = wanted, 0 if failed else looked
        self._forget()
        if failed:
            _LOG.error("a desired state cannot be read, and is tried again: %s", failed)

    def _forget(self) -> None:
        """Let go of replays and versions that nobody asks for any more."""
        asked = {(model, one) for model, state in self._wanted.items() for one in (*state.replaying, state.stable)}
        self._models = {place: one for place, one in self._models.items() if place in asked}
        self._failed = {place: told for place, told in self._failed.items() if place in asked}
        replays = self._replays.items()
        self._replays = {place: one for place, one in replays if (place[0], one.shadow.served) in asked}

    def _replays_of(self, model: str, state: DesiredState) -> list[Replay]:
        """Return the replays of a model, each begun anew for another version or another one beside it."""
        loaded = {one: self._loaded(model, one) for one in (*state.replaying, state.stable)}
        there = {one.version: known for one, known in loaded.items() if known is not None}
        return [self._replay(model, state, there, one.version) for one in state.replaying if one.version in there]

    def _replay(self, model: str, state: DesiredState, there: Mapping[str, ShadowModel], version: str) -> Replay:
        beside = {name: one for name, one in there.items() if name != version}
        known = self._replays.get((model, version))
        if known is None or (known.shadow, known.beside, known.sampled) != (there[version], beside, state.paired):
            how = (self._root, model, there[version], self._clock)
            known = self._replays[model, version] = Replay(*how, beside=beside, sampled=state.paired)
        return known

    def _loaded(self, model: str, version: Served) -> ShadowModel | None:
        """Return a version in memory; one that cannot be loaded is tried again."""
        place = (model, version)
        known = self._models.get(place)
        failed, at = self._failed.get(place, ("", 0.0))
        if known is not None or (failed and time.monotonic() - at < RETRY_SECONDS):
            return known
        try:
            proof = self._trust.of(model, version.version) if self._trust else None
            self._models[place] = ShadowModel(version, proof)
            self._failed.pop(place, None)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the other shadows go on
            self._failed[place] = (str(error), time.monotonic())
        return self._models.get(place)

    def _report_state(self, model: str, state: ObservedState) -> None:
        if self._reported.get(model) != state:
            self._worker.report(model, state)
            self._reported[model] = state


def run(root: Path, time: Clock, stop: Event, trust: Trust | None = None) -> None:
    """Replay until told to stop."""
    with _only_one(root):
        worker = Worker(root / "shadow", f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}")
        log = PredictionLog(root, f"{shadow_log.PREFIX}{worker.name}")
        shadows = Shadows(root, worker, log, time, trust)
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
        bound = environment.read(parser.parse_args().environment, only=("serving",), alone=True)
        root, trust = _root(bound), trust_of(bound)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    _stand_back()
    open_files.take_all()
    with set_by_signals(stop):
        run(root, clock.chosen(bound.clock), stop, trust)
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
    os.setpriority(os.PRIO_PROCESS, 0, 19)  # os.nice adds to the starter's, which may be below zero
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
