"""Disk quota of a server's prediction logs.

What others write there, and what goes once it is in the lake, is looked at once a second; what this worker writes is
counted at once. So workers together may go beyond by what they write in a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from pathlib import Path

from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.files import bytes_below
from loopline.platform_core.quota_settings import size

LOOK_SECONDS = 1.0
RESTS = 20
"""How many times as long as it took a look rests: there may be very many files."""
RETRY_SECONDS = 30.0
_LOG = logging.getLogger(__name__)


class LogRoom:
    """Refuses records that have no room; ``refused`` counts them under ``log_quota``."""

    def __init__(self, folder: Path, most_bytes: int, refused: Counter[str]) -> None:
        self._folder, self._most_bytes, self._refused = folder, most_bytes, refused
        self._taken = 0
        self._others = 0
        self.look()

    @property
    def used(self) -> int:
        """Return how many bytes lie there, as far as is known."""
        return self._others + self._taken

    def take(self, model: str, size_bytes: int) -> None:
        """Count what is about to be written.

        Raises:
            QuotaReached: there is no room for it; nothing was counted.
        """
        if self.used + size_bytes > self._most_bytes:
            self._refused["log_quota"] += 1
            raise QuotaReached(
                f"the prediction log of {model!r} takes no more, and nothing is answered that is not logged: "
                f"{size(self.used)} of {size(self._most_bytes)} lie there",
                "let the lake take what lies there, and keep it for fewer days (serving.keep_days); whoever runs the "
                "environment raises quotas.log_bytes",
                RETRY_SECONDS,
            )
        self._taken += size_bytes

    def look(self) -> float:
        """Look at what lies there, and return how long that took (seconds)."""
        began, taken = time.monotonic(), self._taken
        self._others = bytes_below(self._folder) - taken
        return time.monotonic() - began

    async def open(self) -> None:
        """Begin to look now and then."""
        self._looking = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop looking."""
        self._looking.cancel()

    async def _run(self) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(LOOK_SECONDS, RESTS * took))
            try:
                took = await asyncio.to_thread(self.look)
            except OSError:
                _LOG.exception("what the prediction logs take cannot be told")
