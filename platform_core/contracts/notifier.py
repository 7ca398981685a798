"""Contract of notifiers: deliver alarm messages to people."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from loopline.platform_core.contracts.base import Vendor

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""From what is good to know, over what to look at today, to what to get up for."""
What = Literal["raised", "worse", "over", "summary"]
LONGEST = 3000
"""Characters of a problem or a fix that a message carries; what is longer is cut, and says so."""


@dataclass(frozen=True)
class Message:
    """One thing to tell: an alarm is ``raised``, has got ``worse`` since, is ``over``, or a ``summary`` of several.

    ``message_id`` is the same whenever the same thing is told again, so that a receiver may drop the second.
    ``subject`` is ``team/model``, a team, or "". ``since`` and ``until`` are the wall's time (UTC). ``note`` says what
    else to know, such as why the message comes late.
    """

    message_id: str
    what: What
    severity: Severity
    cause: str
    problem: str
    fix: str
    since: datetime
    until: datetime | None = None
    subject: str = ""
    link: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """Say it in one line, for a subject or a headline."""
        word = {"over": "over", "worse": f"{self.severity}, worse"}.get(self.what, self.severity)
        about = f"{self.subject}: " if self.subject else ""
        return f"[{word}] {about}{_line(self.problem)}"

    @property
    def text(self) -> str:
        """Say everything as plain text, a line or more each."""
        times = f"since {self.since:%Y-%m-%d %H:%M} UTC"
        times += f", over at {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        lines = [
            ("what", cut(self.problem)),
            ("do", cut(self.fix)),
            ("when", times),
            ("note", self.note),
            ("look", self.link),
            ("cause", self.cause),
        ]
        return "\n".join(f"{name}: {value}" for name, value in lines if value)


class Notifier(Vendor):
    """Tells people; the kernel decides what is told, when, and how often.

    Promises, each with a test in ``loopline.platform_core.testing.notifier``:
      1. When ``send`` returns, the receiver has the message once: title, problem, fix, link and cause.
      2. The message's id travels with it, the same when the message is sent again.
      3. What is raised, what is over and how severe it is show in the first line.
      4. A receiver that is busy, gone, or silent for ``timeout_seconds`` raises ``Transient``.
      5. A receiver that refuses raises ``Permanent``.
      6. No secret of the configuration shows in an error, a log, or the notifier written out.
      7. Text from outside stays text: it adds no header, no mention and no markup; what is too long is cut and says so.

    ``name`` is the notifier's own in the environment file. ``at_least`` and ``teams`` (empty: all) choose what it is
    told; after a message about a cause there is no other that it is raised for ``cooldown_minutes``; beyond
    ``daily_budget`` messages in 24 hours there is one summary an hour.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # what is wrong may be a secret

    name: str = ""
    at_least: Severity = "info"
    teams: tuple[str, ...] = ()
    cooldown_minutes: float = Field(default=60, ge=0)
    daily_budget: int = Field(default=50, ge=1)
    timeout_seconds: float = Field(default=10, gt=0)

    @abc.abstractmethod
    def send(self, message: Message) -> None:
        """Deliver one message.

        Raises:
            Transient: worth another try, after its ``delay_seconds``. Permanent: a person must mend something first.
        """

    def wants(self, severity: Severity, team: str) -> bool:
        """Say whether an alarm is this notifier's business; one of no team is that of a notifier for all."""
        severe = SEVERITIES.index(severity) >= SEVERITIES.index(self.at_least)
        return severe and (not self.teams or team in self.teams)


def cut(text: str, longest: int = LONGEST) -> str:
    """Cut a text that is too long, and say so."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest} characters more)"


def _line(text: str, longest: int = 150) -> str:
    """Make one line of a text; control characters become blanks, so that it can stand in a header."""
    bare = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return bare if len(bare) <= longest else f"{bare[: longest - 1]}…"
