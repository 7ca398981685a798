"""Periodic status file of a server worker, read by the other workers that share its port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from loopline.platform_core.runtime import states

LEAVE_SECONDS = 1.0
_REST, _MOST_SECONDS = 20, 10.0
"""So many times as long as the leaving took a worker rests after it, up to this: requests have the better claim."""
_LOG = logging.getLogger(__name__)


async def keep_leaving(root: Path, worker: str, file: str, make: Callable[[], Awaitable[bytes]]) -> None:
    """Leave a file every second, or at least every 10 s where that is much work; a thread does the writing."""
    pause = LEAVE_SECONDS
    while True:
        await asyncio.sleep(pause)
        started = time.monotonic()
        try:
            content = await make()
            await asyncio.to_thread(states.leave, root, worker, file, content)
        except OSError:
            _LOG.exception("%s cannot be left for the other workers", file)
        pause = min(max(LEAVE_SECONDS, _REST * (time.monotonic() - started)), _MOST_SECONDS)
