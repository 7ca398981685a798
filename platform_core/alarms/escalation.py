"""Alarm escalation: an active alarm is sent again when it is ten times worse, covers more parts, or is graver.

The worst that people could know of is kept with the alarm. Only what goes beyond it is news, so that a figure that
swings and columns that come and go are told once an episode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.contracts.notifier import SEVERITIES, Severity

if TYPE_CHECKING:
    from loopline.platform_core.alarms.alarm import Alarm

TIMES_WORSE = 10
"""How many times its size an alarm must grow to be told again."""
NAMED_PARTS = 5
"""Parts that a reason names; the rest it counts."""


class Worst(msgspec.Struct, frozen=True):
    """The gravest, the largest and all parts that an episode was told with; ``why`` is the last growth, "" for none."""

    severity: Severity
    size: float | None = None
    parts: tuple[str, ...] = ()
    why: str = ""

    @classmethod
    def of(cls, alarm: Alarm) -> Worst:
        """Begin with an alarm as it is raised."""
        return cls(alarm.severity, alarm.size, alarm.parts)

    @classmethod
    def read(cls, text: str) -> Worst | None:
        """Read what ``text`` wrote; None where an alarm was raised before this was kept."""
        return _decoder.decode(text) if text else None

    @property
    def text(self) -> str:
        """Write it as the ledger keeps it."""
        return msgspec.json.encode(self).decode()

    def grown(self, alarm: Alarm) -> Worst:
        """Return what is the worst with an alarm as it is now; ``why`` is "" where nothing goes beyond."""
        reasons = [*self._graver(alarm), *self._larger(alarm), *self._joined(alarm)]
        return Worst(
            severity=max(self.severity, alarm.severity, key=SEVERITIES.index),
            size=alarm.size if self.size is None or self._larger(alarm) else self.size,
            parts=tuple(dict.fromkeys([*self.parts, *alarm.parts])),
            why="; ".join(reasons),
        )

    def _graver(self, alarm: Alarm) -> list[str]:
        graver = SEVERITIES.index(alarm.severity) > SEVERITIES.index(self.severity)
        return [f"it was {self.severity}, it is {alarm.severity} now"] if graver else []

    def _larger(self, alarm: Alarm) -> list[str]:
        if self.size is None or alarm.size is None or not 0 < self.size * TIMES_WORSE <= alarm.size:
            return []
        return [f"{alarm.size / self.size:.0f} times as bad: {alarm.size:.3g} after {self.size:.3g}"]

    def _joined(self, alarm: Alarm) -> list[str]:
        new = [part for part in alarm.parts if part not in self.parts]
        if not new or not self.parts:
            return []
        more = f" and {len(new) - NAMED_PARTS} more" if len(new) > NAMED_PARTS else ""
        return [f"{', '.join(new[:NAMED_PARTS])}{more} joined"]


_decoder = msgspec.json.Decoder(Worst)
