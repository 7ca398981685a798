"""Event loop in a background thread, for blocking callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from loopline.resources.redis_cluster.scatter_gather import Scattered

T = TypeVar("T")


class Background:
    """One process's connections for threads; each thread waits for its own answer."""

    def __init__(self, cluster: Scattered) -> None:
        self.cluster = cluster
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="loopline-redis-cluster", daemon=True).start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do a work on the loop and return what comes of it; who is interrupted ends it."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def close(self) -> None:
        """Let connections and the thread go."""
        self.wait(self._closed())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _closed(self) -> None:
        self.cluster.close()
        await asyncio.sleep(0)
