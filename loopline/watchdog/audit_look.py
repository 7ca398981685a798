"""Watchdog task that seals and anchors the audit log, applies its retention, and raises an alarm when it cannot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.audit import anchoring, place, removing, sealing
from loopline.platform_core.errors import CommitConflict, LooplineError, Permanent, Refused
from loopline.platform_core.retention import Retention
from loopline.watchdog.look import Looked

if TYPE_CHECKING:
    from loopline.platform_core.audit.keys import Signs
    from loopline.platform_core.audit.removing import Keeper
    from loopline.platform_core.platform import Platform

ANCHOR_SECONDS = 900.0
"""How often a new anchor is written at most: each is a file for ever."""
_PATIENT_SECONDS = 3600.0
"""How long anchors may be away before people are told: what is sealed meanwhile is anchored later."""
SAY_SECONDS, RETAIN_SECONDS = 3600.0, 86_400.0
"""How often the record is told how long entries are to be kept, and what is past its time is looked for."""
_OVERDUE = timedelta(days=7)
"""How long another one, whose role of the database may, is waited for."""
PLATFORM = "platform"


@dataclass
class AuditLook:
    """Seals; anchors where the environment binds anchors. Without a key it does nothing: ``loopline audit init``."""

    platform: Platform
    _anchored: float | None = None
    _said: float | None = None
    _retained: float | None = None
    _refused: Refused | None = None
    _shorter: tuple[Alarm, ...] = ()
    _failing: dict[str, float] = field(default_factory=dict)

    def look(self) -> Looked:
        """Seal, then anchor, then let go."""
        if not place.has_key(self.platform):
            return Looked()
        steps = ("sealed", self._seal), ("anchored", self._anchor), ("retained", self._retain)
        return Looked((*(alarm for what, step in steps for alarm in self._tried(what, step)), *self._shorter))

    def _seal(self) -> None:
        sealing.seal(self.platform.ledger, place.signing_key(self.platform))

    def _anchor(self) -> None:
        anchors = self.platform.anchors
        if anchors is None or (self._anchored is not None and time.monotonic() - self._anchored < ANCHOR_SECONDS):
            return
        anchoring.anchor(self.platform.ledger, anchors, place.verifying_key(self.platform))
        self._anchored = time.monotonic()

    def _retain(self) -> None:
        """Let go of what is due; what this role of the database may not is left to another one for a while.

        Raises:
            Refused: nobody did it.
        """
        now, policy = time.monotonic(), self.platform.environment.retention or Retention()
        keeper = removing.Keeper(self.platform.ledger, policy, self.platform.anchors)
        if self._said is None or now - self._said >= SAY_SECONDS:
            keeper.say(PLATFORM)
            self._shorter, self._said = self._of_notice(), now
        if self._retained is None or now - self._retained >= RETAIN_SECONDS:
            self._refused, self._retained = self._let_go(keeper), now
        if self._refused is not None:
            raise self._refused

    def _let_go(self, keeper: Keeper) -> Refused | None:
        """Return what was refused to everybody."""
        key = place.signing_key(self.platform)
        try:
            keeper.retain(key, PLATFORM)
        except Refused as error:
            return error if self._is_left(keeper, key) else None
        return None

    def _is_left(self, keeper: Keeper, key: Signs) -> bool:
        """Say whether what was due a while ago is still there, or the record is not well."""
        try:
            return bool(keeper.due(key.verifying, datetime.now(UTC) - _OVERDUE))
        except Refused:
            return True

    def _of_notice(self) -> tuple[Alarm, ...]:
        """Tell people of a policy that keeps something for less, as long as it does not hold yet."""
        coming = removing.notice(self.platform.ledger)
        if coming is None:
            return ()
        policy, holds = coming
        said = f"the audit's record will be kept for less from {holds:%Y-%m-%d} on: {policy}"
        fix = "see who wrote it by 'loopline audit list --what audit.retention_set'; until then it can be taken back"
        return (Alarm("audit:shorter", "warning", said, fix),)

    def _tried(self, what: str, step: Callable[[], None]) -> tuple[Alarm, ...]:
        """Do a step; what only needs another try is told when it has lasted."""
        try:
            step()
        except CommitConflict:
            pass  # another watchdog, or a person, was faster
        except LooplineError as error:
            since = self._failing.setdefault(what, time.monotonic())
            lasting = isinstance(error, Permanent) or time.monotonic() - since >= _PATIENT_SECONDS
            said = f"the audit's record is not {what}: {error.problem}"
            return (Alarm(f"audit:{what}", "error", said, error.fix),) if lasting else ()
        self._failing.pop(what, None)
        return ()
