"""Per-process singleton, such as a connection: a forked process makes its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OneAProcess(Generic[T]):
    """What a process makes once, for all its threads, and a fork makes anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._locks: dict[int, threading.Lock] = {}

    def get(self) -> T:
        """Return this process's."""
        pid = os.getpid()
        if pid not in self._made:
            with self._locks.setdefault(pid, threading.Lock()):  # one that was held when it forked stays held
                if pid not in self._made:
                    self._made[pid] = self._make()
        return self._made[pid]

    @property
    def made(self) -> T | None:
        """Return this process's, if it was made."""
        return self._made.get(os.getpid())

    def taken(self) -> T | None:
        """Return this process's, if it was made, and forget it."""
        return self._made.pop(os.getpid(), None)
