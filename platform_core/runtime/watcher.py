"""Reconciles a worker's loaded models with their desired states, without interrupting requests."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.states import Worker, desired_files, desired_folder, read_desired

if TYPE_CHECKING:
    from loopline.platform_core.signing.trust import Trust

POLL_SECONDS = 0.05
RETRY_SECONDS = 5.0
BEAT_SECONDS = 1.0
AFTER_FAILURE_SECONDS = 0.5
_GLANCE_SECONDS = 0.005
_SETTLED_NS = 1_000_000_000
_LOG = logging.getLogger(__name__)


class Watcher:
    """Polls the desired states, loads in a thread, then swaps one reference; ``ready`` once every state was tried.

    The threads are its own: a thousand loads keep nothing waiting that the server does in others.
    """

    def __init__(self, root: Path, worker: Worker, inference: Inference, trust: Trust | None = None) -> None:
        self._root, self._folder = root, desired_folder(root)
        self._worker = worker
        self._inference, self._trust = inference, trust
        self._seen: dict[str, bytes] = {}
        self._wanted: dict[str, DesiredState] = {}
        self._bringing: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, asyncio.TimerHandle] = {}
        self._untold: set[str] = set()
        self._looked_ns = 0
        self._loading = ThreadPoolExecutor(thread_name_prefix="load")
        self._tried = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled, or until the process that started this worker is gone."""
        parent = multiprocessing.parent_process()
        beating = asyncio.create_task(self._beat())
        try:
            while parent is None or parent.is_alive():
                pause = await self._step()
                await asyncio.sleep(pause)
        finally:
            for task in [beating, *self._bringing.values()]:
                task.cancel()
            for again in self._again.values():
                again.cancel()
            self._loading.shutdown(wait=False, cancel_futures=True)
        signal.raise_signal(signal.SIGTERM)

    async def _step(self) -> float:
        """Look if something has changed, and return in how many seconds to look again."""
        try:
            if self._changed():
                await self._look()
            if not self._bringing:
                self._tried.set()
        except OSError:
            self._looked_ns = 0  # what has not been read has not been seen
            _LOG.exception("desired states cannot be read, and are tried again; such models stay as they are")
            return AFTER_FAILURE_SECONDS
        return POLL_SECONDS if self._tried.is_set() else _GLANCE_SECONDS

    async def settled(self, seconds: float) -> None:
        """Wait until every state was tried once, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    @property
    def ready(self) -> bool:
        """Say whether every state was tried once, and there is a model that answers, if any is wanted.

        A server that can load none of its models is asked by nobody: others, of another image, may answer for them.
        """
        models = self._inference.models.values()
        return self._tried.is_set() and (not models or any(state.route is not None for state in models))

    async def _beat(self) -> None:
        """Show now and then that the loop goes round, in which requests are answered; and tell what is still untold."""
        while True:
            try:
                self._report_again()
                self._worker.beat()
            except OSError:
                _LOG.exception("that this worker moves cannot be shown now; it is tried again")
            await asyncio.sleep(BEAT_SECONDS)

    def _changed(self) -> bool:
        """Say whether to look into the folder: its time moved, or is so young that it may hide a second change."""
        before, self._looked_ns = self._looked_ns, self._folder.stat().st_mtime_ns
        return self._looked_ns != before or time.time_ns() - self._looked_ns < _SETTLED_NS

    async def _look(self) -> None:
        """Take every state that can be read.

        Raises:
            OSError: one of them, or the folder, cannot be read.
        """
        texts, errors = await asyncio.to_thread(_read, self._root)
        for model, text in texts.items():
            if self._seen.get(model) != text:
                self._want(model, text)
                self._seen[model] = text
        if errors:
            raise errors[0]

    def _want(self, model: str, text: bytes) -> None:
        try:
            state = read_desired(text)
        except LooplineError as error:
            self._settle(model, problem=str(error))
            return
        if model in self._wanted and state.generation < self._wanted[model].generation:
            return
        self._wanted[model] = state
        self._inference.models.setdefault(model, ModelState())
        self._start(model)

    def _start(self, model: str) -> None:
        if model not in self._bringing:
            if again := self._again.pop(model, None):  # it is now that it is tried
                again.cancel()
            self._bringing[model] = asyncio.create_task(self._bring(model))

    async def _bring(self, model: str) -> None:
        """Load until the model is what is wanted by then; what cannot be loaded is tried again now and then."""
        done: DesiredState | None = None
        try:
            while done != self._wanted[model]:
                done = self._wanted[model]
                await self._load(model, done)
        finally:
            del self._bringing[model]
        if self._inference.models[model].problem:
            self._again[model] = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._start, model)

    async def _load(self, model: str, state: DesiredState) -> None:
        before = self._inference.models[model].route
        pool = None if _is_at_hand(state, before) else self._loading  # a roll-back waits behind no load
        try:
            route = await asyncio.get_running_loop().run_in_executor(pool, Route.build, state, before, self._trust)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a version, the one before goes on
            self._settle(model, problem=f"generation {state.generation}: {error}")
        else:
            self._settle(model, route)

    def _settle(self, model: str, route: Route | None = None, problem: str = "") -> None:
        """Swap the model's state, and report it."""
        before = self._inference.models.get(model, ModelState())
        self._inference.models[model] = ModelState(route or before.route, problem)
        self._report(model)

    def _report(self, model: str) -> bool:
        """Report what a model is, and say whether that could be written; a full disk keeps no model from changing."""
        now = self._inference.models[model]
        generation = now.route.generation if now.route else None
        try:
            self._worker.report(model, ObservedState(generation, ready=now.route is not None, problem=now.problem))
        except OSError:
            self._untold.add(model)
            _LOG.exception("what %s is here cannot be reported; it is tried again", model)
            return False
        self._untold.discard(model)
        return True

    def _report_again(self) -> None:
        """Report what could not be reported when it came about, until the disk refuses again."""
        for model in list(self._untold):
            if not self._report(model):
                break


def _is_at_hand(state: DesiredState, before: Route | None) -> bool:
    """Say whether all versions of a state are in memory."""
    here = {(version.served.version, version.served.package) for version in before.versions} if before else set()
    wanted = [state.stable, state.candidate] if state.candidate else [state.stable]
    return all((served.version, served.package) in here for served in wanted)


def _read(root: Path) -> tuple[dict[str, bytes], list[OSError]]:
    """Return the content of each state that can be read, and what keeps the others from it."""
    texts, errors = {}, []
    for file in desired_files(root):
        try:
            texts[file.stem] = file.read_bytes()
        except OSError as error:
            errors.append(error)
    return texts, errors
