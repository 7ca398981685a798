"""History replay for the demo: sends each day's requests, and lands its file the next morning."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from loopline.demo.client import Client
    from loopline.demo.declared import Day, Request
    from loopline.platform_core.foundation.clock import ReplayClock


@dataclass(frozen=True)
class Script:
    """What is to happen on each day: the requests, and the file that lands the morning after."""

    days: Sequence[Day]
    requests: Mapping[date, Sequence[Request]]
    land: Callable[[Day], None]


@dataclass
class Replay:
    """Moves the data's clock from day to day in a thread; ``days_per_second`` may change at any time.

    It waits before a day while ``free`` is not set.
    """

    clock: ReplayClock
    client: Client
    script: Script = field(default_factory=lambda: Script([], {}, lambda _day: None))
    days_per_second: float = 7.0
    free: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    played: int = 0  # days of the script
    trouble: BaseException | None = None
    _thread: threading.Thread | None = None

    def start(self, script: Script) -> None:
        """Begin in the background."""
        self.script = script
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop after the present request and wait."""
        self.stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            for day in self.script.days:
                if self.stop.is_set():
                    return
                self._one_day(day)
                self.played += 1
            self.done = True
        except BaseException as error:  # the story must hear of it, whatever it is
            self.trouble = error
            raise

    def _one_day(self, day: Day) -> None:
        began = time.monotonic()
        while not self.free.wait(0.1) and not self.stop.is_set():
            pass
        self.clock.set(datetime.combine(day.date, clock_time(6), UTC))
        for request in self.script.requests.get(day.date, ()):
            self.client.ask(request)
        self.script.land(day)
        self.clock.set(day.arrives_at)
        self.stop.wait(max(0.0, 1 / self.days_per_second - (time.monotonic() - began)))
