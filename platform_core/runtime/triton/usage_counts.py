"""Request statistics by version, summed over all workers, as Triton's clients ask for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.left_behind import keep_leaving
from loopline.platform_core.runtime.metrics import Labels, Metrics

_FILE = "statistics.json"
_NS, _MS = 1_000_000_000, 1_000


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """A version's requests: answered and failed, with their time together; rows predicted; when the last one ended."""

    model: str
    version: str
    succeeded: int = 0
    failed: int = 0
    succeeded_ns: int = 0
    failed_ns: int = 0
    rows: int = 0
    last_ms: int = 0

    def plus(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(
            self.model,
            self.version,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.succeeded_ns + other.succeeded_ns,
            self.failed_ns + other.failed_ns,
            self.rows + other.rows,
            max(self.last_ms, other.last_ms),
        )


_read = msgspec.json.Decoder(list[Usage]).decode


class UsageCounts:
    """Those of one worker that has the port for itself."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    async def read(self) -> Mapping[Labels, Usage]:
        """Return what was asked by now, by model and version."""
        return _summed(self.own())

    def own(self) -> list[Usage]:
        """Return what this worker was asked."""
        ago = time.perf_counter() - time.time()
        return [
            Usage(
                model,
                version,
                succeeded=sum(count.buckets) - count.errors,
                failed=count.errors,
                succeeded_ns=int((count.seconds - count.failed_seconds) * _NS),
                failed_ns=int(count.failed_seconds * _NS),
                rows=count.rows,
                last_ms=int((count.last - ago) * _MS),
            )
            for (model, version), count in self.metrics.counts.items()
        ]


class UsageCountsTogether(UsageCounts):
    """Those of all workers, from what each leaves every second: whoever is asked, a count never goes back."""

    def __init__(self, metrics: Metrics, root: Path, worker: str) -> None:
        super().__init__(metrics)
        self._root, self._worker = root, worker

    async def open(self) -> None:
        """Begin to leave what this worker was asked."""
        states.leave(self._root, self._worker, _FILE, await self._written())
        self._leaving = asyncio.create_task(keep_leaving(self._root, self._worker, _FILE, self._written))

    async def close(self) -> None:
        """Stop."""
        self._leaving.cancel()

    async def read(self) -> Mapping[Labels, Usage]:
        """Return what was asked of all workers up to a second ago."""
        return await asyncio.to_thread(lambda: _summed(self._all()))

    async def _written(self) -> bytes:
        return msgspec.json.encode(self.own())

    def _all(self) -> list[Usage]:
        found: list[Usage] = []
        for name in states.living(self._root):
            file = states.worker_folder(self._root, name) / _FILE
            if file.exists():
                found += _read(file.read_bytes())
        return found


def _summed(every: Iterable[Usage]) -> dict[Labels, Usage]:
    summed: dict[Labels, Usage] = {}
    for one in every:
        before = summed.get((one.model, one.version))
        summed[one.model, one.version] = one if before is None else before.plus(one)
    return summed
