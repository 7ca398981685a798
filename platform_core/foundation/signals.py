"""Signal handling: a flag that Ctrl-C and SIGTERM set."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

ENDING = (signal.SIGINT, signal.SIGTERM)
"""What asks a process to end."""


@contextmanager
def set_by_signals(given: Event | None = None) -> Iterator[Event]:
    """Let Ctrl-C and SIGTERM set a flag, a new one if none is given, until the block ends; a second one is harmless.

    A handler runs in the main thread between two of its steps. If that is inside ``stop.wait``, the thread holds the
    flag's lock, and a handler that called ``stop.set`` would wait for it for ever. So a thread of its own sets it.
    """
    stop = given or Event()

    def ask(*_: object) -> None:
        _thread.start_new_thread(stop.set, ())

    before = {number: signal.signal(number, ask) for number in ENDING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
