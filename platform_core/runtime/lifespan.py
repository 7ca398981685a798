"""Server lifespan: starts and stops background work beside the answering of requests."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from loopline.platform_core.runtime.prediction_log.log import PredictionLog
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.runtime.watcher import Watcher
from loopline.platform_core.runtime.wire.http import Receive, Send

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import OnlineStore

SYNC_SECONDS = 0.2
SETTLE_SECONDS = 60.0
"""How long a worker may load before it takes requests all the same; what is not loaded by then answers 503."""
_LOG = logging.getLogger(__name__)


class Beside(Protocol):
    """What else goes on while the process lives."""

    async def open(self) -> None:
        """Begin."""

    async def close(self) -> None:
        """End; the prediction log is still open."""


class Lifespan:
    """Watches the desired states and syncs the log, with what goes on ``beside``; at the end everything is put away."""

    def __init__(
        self, worker: Worker, watcher: Watcher, log: PredictionLog, store: OnlineStore, beside: Sequence[Beside] = ()
    ) -> None:
        self._worker, self._watcher, self._log, self._store, self._beside = worker, watcher, log, store, beside

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Speak ASGI's lifespan protocol."""
        await receive()
        tasks = [asyncio.create_task(self._watcher.run()), asyncio.create_task(self._sync())]
        await self._watcher.settled(SETTLE_SECONDS)  # workers share ports: one without models would fail requests
        for other in self._beside:
            await other.open()
        gc.collect()
        gc.freeze()  # what was loaded stays: looking through it again and again would be seen in requests
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for other in self._beside:
            await other.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._log.close()
        self._worker.leave()
        self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if self._log.is_on_disk:  # a server that nobody asks wakes no thread
                continue
            try:
                await asyncio.to_thread(self._log.sync)
            except OSError:
                _LOG.exception("the prediction log cannot be synced")
