"""Callback delivery: a few threads per host, so that a slow host delays no other."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import msgspec

from loopline.deferred import callbacks

if TYPE_CHECKING:
    from loopline.deferred.request_queue import Result, Spool
    from loopline.platform_core.runtime.settings.deferred import DeferredSettings

CALLERS = 16
CALLERS_OF_A_HOST = 4
LOOK_SECONDS = 0.2
_LOG = logging.getLogger(__name__)


class Callers:
    """One worker's share of the calls; ``_underway`` are the requests whose callers are being told, or wait for it."""

    def __init__(self, spool: Spool, settings: DeferredSettings) -> None:
        self._spool, self._settings, self._quiet = spool, settings, spool.quiet("calls")
        self._threads = ThreadPoolExecutor(CALLERS, "callback")
        self._underway: dict[str, asyncio.Task[None]] = {}
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def call_all(self) -> None:
        """Begin to tell those whose turn it is, and wait for none of them; while there are none, none are listed."""
        if (changed := self._quiet.changed()) is not None:
            now, calls = time.time(), list(self._spool.calls())
            for name, attempts, last in calls:
                if name not in self._underway and callbacks.due(attempts, last, now):
                    self._underway[name] = asyncio.create_task(self._call(name))
            self._quiet.saw(changed, empty=not calls)
        await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Begin no more calls; those that a thread is at end by themselves."""
        tasks = list(self._underway.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, name: str) -> None:
        """Tell one, in its host's turn; where not even the attempt can be noted, it is not repeated at once."""
        try:
            host = await asyncio.to_thread(self._host, name)
            async with self._hosts.setdefault(host, asyncio.Semaphore(CALLERS_OF_A_HOST)):
                await asyncio.get_running_loop().run_in_executor(self._threads, self._call_back, name)
        except Exception:  # noqa: BLE001 - one caller's trouble is nobody else's
            _LOG.exception("the caller of request %s cannot be told", name)
            await asyncio.sleep(callbacks.FIRST_DELAY_SECONDS)
        finally:
            del self._underway[name]

    def _host(self, name: str) -> str:
        """Name host and port of a caller, "" where that is not known."""
        with suppress(OSError, msgspec.MsgspecError):
            result = self._spool.state(name)
            return "" if isinstance(result, bool) else urlsplit(result.callback or "").netloc
        return ""

    def _call_back(self, name: str) -> None:
        """Try once, unless another worker was faster; whatever goes wrong counts, so that nothing is tried for ever."""
        with self._spool.calling(name) as before:
            if before is None or not callbacks.due(*before, time.time()):
                return
            is_told = self._is_delivered(name)
            if is_told is None:
                return
            given_up = not is_told and before[0] + 1 >= self._settings.callback_attempts
            if given_up:
                _LOG.warning("the caller of request %s took no answer in %d attempts", name, before[0] + 1)
            self._spool.called(name, done=is_told or given_up)

    def _is_delivered(self, name: str) -> bool | None:
        """Say whether there is nothing more to tell; None a moment too early, when the answer is not shown yet."""
        try:
            result: Result | bool = self._spool.state(name)
            if isinstance(result, bool):
                return None if result else True
            return callbacks.post(result.callback or "", name, result.headers, result.body)
        except Exception:  # noqa: BLE001 - an attempt that fails in a way that nobody thought of is one too
            _LOG.exception("the caller of request %s was not told", name)
            return False
