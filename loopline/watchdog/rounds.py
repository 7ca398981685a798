"""Watchdog loop: runs all checks, raises and clears alarms, then delivers them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from loopline.platform_core.alarms import Alarm, clear, raise_alarm, standing, watchdog_heartbeat
from loopline.platform_core.alarms.deliver import Sent, deliver
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.loop import watchdog_looks
from loopline.platform_core.redaction import redacted
from loopline.watchdog.look import Bounds, Look, Looked

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

LONG_SECONDS = 1.0
"""From when on a look takes long."""
RESTS = 20
"""How many times as long as it took a costly look rests."""


@dataclass
class Watchdog:
    """Looks round by round; ``say`` hears what it raised, cleared and told."""

    platform: Platform
    looks: Sequence[Look]
    bounds: Bounds
    say: Callable[[str], None]
    rounds: int = 0
    _seen: dict[str, float] = field(default_factory=dict)
    _resting: dict[str, float] = field(default_factory=dict)

    def run(self, stop: Event, interval_seconds: float) -> None:
        """Go round until told to stop."""
        while not stop.is_set():
            try:
                self.round()
            except (LooplineError, OSError, SQLAlchemyError) as error:  # nothing can be written now, so go on
                self._log(f"this round failed: {_error_text(error)}")
            stop.wait(interval_seconds)

    def round(self) -> list[Sent]:
        """Look at everything whose turn it is, then tell what is to be told."""
        for look in self.looks:
            if self.rounds % look.every == 0 and time.monotonic() >= self._resting.get(look.name, 0):
                began, found = time.monotonic(), self._looked(look)
                self._settle(look, found)
                self._rest(look, found, time.monotonic() - began)
        self.rounds += 1
        sent = deliver(self.platform)
        for one in sent:
            self._log(f"{one.notifier}: {'not told, ' + one.problem if one.problem else 'told'}: {one.message.title}")
        self._write_round()
        return sent

    def _rest(self, look: Look, found: Looked, took: float) -> None:
        """Let a costly look that took long be for a while: whom it asks has others to answer."""
        if look.every > 1 and took >= LONG_SECONDS and found.blind != look.owns:
            self._resting[look.name] = time.monotonic() + RESTS * took

    def _looked(self, look: Look) -> Looked:
        """Look; a look that fails is blind, which is an alarm when it is our own fault."""
        cause = f"watchdog:{look.name}"
        try:
            found = look.at()
        except LooplineError as error:
            self._log(f"{look.name}: cannot look: {error.problem}")
            return Looked(blind=look.owns)
        except Exception as error:  # noqa: BLE001 - the watchdog must outlive a look's defect
            said = f"the watchdog cannot look at {look.name}: {type(error).__name__}: {error}"
            self._raise(Alarm(cause, "warning", said, "report it: this is a defect of Loopline or a newer Dagster"))
            return Looked(blind=look.owns)
        self._clear(cause)
        return found

    def _settle(self, look: Look, looked: Looked) -> None:
        found = {alarm.cause: alarm for alarm in looked.alarms}
        owned = [one.alarm.cause for one in standing(self.platform.ledger) if one.alarm.cause.startswith(look.owns)]
        for cause in {*owned, *(seen for seen in self._seen if seen.startswith(look.owns))} - set(found):
            if not looked.leaves(cause):
                self._seen.pop(cause, None)
                self._clear(cause)
        for cause, alarm in found.items():
            first = self._seen.setdefault(cause, time.monotonic())
            if not look.patient or time.monotonic() - first >= self.bounds.patience:
                self._raise(alarm)

    def _raise(self, alarm: Alarm) -> None:
        if raise_alarm(self.platform, alarm):
            self._log(f"raised {alarm.cause}: {alarm.problem}")

    def _clear(self, cause: str) -> None:
        if clear(self.platform, cause):
            self._log(f"over {cause}")

    def _log(self, said: str) -> None:
        with suppress(OSError):  # a log on a full disk: people are told all the same
            self.say(said)

    def _write_round(self) -> None:
        facts = {"at": datetime.now(UTC).isoformat(), "pid": os.getpid(), "rounds": self.rounds}
        try:
            watchdog_heartbeat.write_round(self.platform.home, facts)
        except OSError as error:
            self._log(
                f"cannot leave word of this round in {self.platform.home / watchdog_heartbeat.FILE}: "
                f"{_error_text(error)}"
            )
        watchdog_looks.note(self.platform.ledger, watchdog_heartbeat.ROUND)


def _error_text(error: Exception) -> str:
    """Say what went wrong; of a database's words the first line, for the rest is the statement and its values."""
    if isinstance(error, LooplineError):
        return str(error)
    return redacted(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}")
