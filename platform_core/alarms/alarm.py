"""The alarm record: cause, severity, problem and fix, what it is about, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.notifier import Severity

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef

RAISED = "alarm.raised"
WORSE = "alarm.worse"
NOTIFIED = "alarm.told"
SILENCED = "alarm.silenced"
ACKNOWLEDGED = "alarm.acknowledged"
CLEARED = "alarm.cleared"


@dataclass(frozen=True)
class Alarm:
    """Something is wrong.

    ``cause`` names it for good, such as ``drift:retail/cancellations``: as long as it stands, raising it again changes
    nothing. ``subject`` is the model, or ``ModelRef(team, "")`` for what is a team's; None for the platform's own.
    ``link`` is the page that shows it. Where it can be said, ``size`` is how bad it is (of one cause in one unit, more
    is worse), and ``parts`` are what it is about, such as columns: by these it is told again when it gets worse.
    """

    cause: str
    severity: Severity
    problem: str
    fix: str
    subject: ModelRef | None = None
    link: str = ""
    size: float | None = None
    parts: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """Name the subject for people: ``team/model``, a team, or ""."""
        return "/".join(part for part in self.subject or () if part)
