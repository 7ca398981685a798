"""Rate limits of tenants: a token bucket per second and a daily count, shared by all workers of a machine.

A tenant's counts are 32 bytes in a file that each worker maps, and locks for the microsecond in which it changes them.
So the count is exact on one machine, outlives a kill, and knows nothing of other machines: behind a load balancer give
each its share. Time is the machine's, whatever clock the platform goes by: callers wait in real seconds.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from loopline.gateway.api_keys import Tenant
from loopline.platform_core.errors import BadRequest, StoreUnavailable

EVERYBODY = ".everybody"
"""The count of the environment's own rate; no tenant's name begins so."""
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
        (wait,) = self.take_several(name, tenant, 1)
        return wait

    def take_several(self, name: str, tenant: Tenant, number: int) -> list[float]:
        """Take so many, one after another, under one lock.

        Returns:
            What ``take`` would of each.

        Raises:
            StoreUnavailable: the count cannot be kept, as on a full disk.
        """
        if tenant.per_second is None and tenant.per_day is None:
            return [0.0] * number
        try:
            counts = self._counts.get(name)
            if counts is None:
                counts = self._counts[name] = _Counts(self._folder, name)
            return counts.take(tenant, self._now, number)
        except OSError as error:
            raise StoreUnavailable(
                f"the requests of tenant {name!r} cannot be counted: {error.strerror}",
                "free the server's disk, and let it write to its folder 'allowances'",
            ) from error


class Rate:
    """Holds all that a server is asked, by whomever, to the environment's ``requests_per_second``."""

    def __init__(
        self, folder: Path, per_second: float, refused: Counter[str], now: Callable[[], float] = time.time
    ) -> None:
        self._allowances, self._refused = Allowances(folder, now), refused
        self._everybody = Tenant(per_second=per_second)

    def __call__(self) -> None:
        """Take one request.

        Raises:
            BadRequest: 429, it is one too many. StoreUnavailable: the count cannot be kept.
        """
        wait = self._allowances.take(EVERYBODY, self._everybody)
        if wait:
            self._refused["quota"] += 1
            said = f"this server answers {self._everybody.per_second:g} requests a second, and was asked for more"
            fix = f"ask again in {math.ceil(wait)} s; whoever runs the environment raises quotas.requests_per_second"
            raise BadRequest(said, fix, status=429, delay_seconds=wait)


def answered_today(folder: Path, now: Callable[[], float] = time.time) -> int | None:
    """Return how many requests were counted for everybody since midnight (UTC); None where nobody counts.

    Of a counter that is looked at twice the rate is told.
    """
    try:
        left = _Left(*_COUNTS.unpack((folder / EVERYBODY).read_bytes()[: _COUNTS.size]))
    except (OSError, struct.error):
        return None
    return left.used if left.day == int(now() // _DAY_SECONDS) else 0


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

    def take(self, tenant: Tenant, now: Callable[[], float], number: int) -> list[float]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            # the clock is read under the lock: read before, it would be behind what another worker has just written
            at, left, waits = now(), _Left(*_COUNTS.unpack(self._map)), []
            for _ in range(number):
                wait, left = _taken(tenant, at, left)
                waits.append(wait)
            self._map[:] = _COUNTS.pack(*left)
            return waits
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _taken(tenant: Tenant, now: float, left: _Left) -> tuple[float, _Left]:
    today = int(now // _DAY_SECONDS)
    if now < left.at:  # a clock that was set back grants nothing and takes nothing, and goes on from there
        left = left._replace(at=now, day=min(left.day, today))
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
