"""What an alarm says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.notifier import Severity

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef

RAISED = "alarm.raised"
TOLD = "alarm.told"
SILENCED = "alarm.silenced"
ACKNOWLEDGED = "alarm.acknowledged"
CLEARED = "alarm.cleared"


@dataclass(frozen=True)
class Alarm:
    """Something is wrong.

    ``cause`` names it for good, such as ``drift:retail/cancellations``: as long as it stands, raising it again changes
    nothing. ``subject`` is the model, or ``ModelRef(team, "")`` for what is a team's; None for the platform's own.
    ``link`` is the page that shows it.
    """

    cause: str
    severity: Severity
    problem: str
    fix: str
    subject: ModelRef | None = None
    link: str = ""

    @property
    def about(self) -> str:
        """Name the subject for people: ``team/model``, a team, or ""."""
        return "/".join(part for part in self.subject or () if part)
