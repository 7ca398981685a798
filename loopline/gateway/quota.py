"""What tenants have left: requests a second (a token bucket) and requests a day, counted by all workers of a machine.

A tenant's counts are 32 bytes in a file that each worker maps, and locks for the microsecond in which it changes them.
So the count is exact on one machine, outlives a kill, and knows nothing of other machines: behind a load balancer give
each its share. Time is the machine's, whatever clock the platform goes by: callers wait in real seconds.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loopline.gateway.api_keys import Tenant
from loopline.platform_core.errors import StoreUnavailable

_COUNTS = struct.Struct("<ddqq")
_DAY_SECONDS = 86_400


class _Left(NamedTuple):
    """Tokens left, when they were counted (s since 1970), the day (days since 1970), and requests of that day."""

    tokens: float
    at: float
    day: int
    used: int


class Allowances:
    """Counts requests of tenants; ``take`` says how long to wait."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = folder, now
        self._counts: dict[str, _Counts] = {}

    def take(self, name: str, tenant: Tenant) -> float:
        """Take one request from what a tenant has left.

        Returns:
            0.0 when it is granted, else the seconds after which it may be; then nothing was taken.

        Raises:
            StoreUnavailable: the count cannot be kept, as on a full disk.
        """
        if tenant.per_second is None and tenant.per_day is None:
            return 0.0
        try:
            counts = self._counts.get(name)
            if counts is None:
                counts = self._counts[name] = _Counts(self._folder, name)
            return counts.take(tenant, self._now)
        except OSError as error:
            raise StoreUnavailable(
                f"the requests of tenant {name!r} cannot be counted: {error.strerror}",
                "free the server's disk, and let it write to its folder 'allowances'",
            ) from error


class _Counts:
    """One tenant's file, mapped."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._allocate()
            self._map = mmap.mmap(self._file, _COUNTS.size)
        except BaseException:
            os.close(self._file)
            raise

    def _allocate(self) -> None:
        """Write what the file holds once more: on a full disk this is an error, and a write to the map a signal."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            os.pwrite(self._file, os.pread(self._file, _COUNTS.size, 0).ljust(_COUNTS.size, b"\0"), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def take(self, tenant: Tenant, now: Callable[[], float]) -> float:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            # the clock is read under the lock: read before, it would be behind what another worker has just written
            wait, left = _taken(tenant, now(), _Left(*_COUNTS.unpack(self._map)))
            self._map[:] = _COUNTS.pack(*left)
            return wait
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _taken(tenant: Tenant, now: float, left: _Left) -> tuple[float, _Left]:
    if now < left.at:  # a clock that was set back grants nothing and takes nothing, and goes on from there
        left = left._replace(at=now)
    today = int(now // _DAY_SECONDS)
    used = left.used if left.day == today else 0
    if tenant.per_day is not None and used >= tenant.per_day:
        return (today + 1) * _DAY_SECONDS - now, left
    tokens = left.tokens
    if tenant.per_second is not None:
        most = float(tenant.burst or max(1, round(tenant.per_second)))
        tokens = min(most, tokens + (now - left.at) * tenant.per_second)
        if tokens < 1.0:
            return (1.0 - tokens) / tenant.per_second, left
        tokens -= 1.0
    return 0.0, _Left(tokens, now, today, used + 1)
