"""Policy decisions for Dagster's and MLflow's web servers, cached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.audit import recording
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.names import PLATFORM as PLATFORM_LOCATION
from loopline.platform_core.policies import asking, lent, rules
from loopline.platform_core.policies.question import EVERYTHING, PLATFORM, Asked, Resource
from loopline.up.rights.mutations import WHOLE

if TYPE_CHECKING:
    from loopline.platform_core.identity.caller import Caller
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.rules import Rules

ALLOWED = "attempt.allowed"
"""What a person was let do in Dagster or MLflow; written before it is done, so nothing is done unseen."""
LATELY_SECONDS = 1.0
MOST_KEPT = 65_536
MOST_TOLD = 500
"""Characters of what the record tells of a change."""
_Asked = tuple[str, frozenset[str], str, str]
_JOIN = "ask a platform admin for a role, in the roles file"


@dataclass(frozen=True)
class Why:
    """Why something is not allowed, and who can grant it."""

    problem: str
    fix: str

    def __str__(self) -> str:
        """Write it as one line, as a button shows it."""
        return f"{self.problem}; {self.fix}"

    @classmethod
    def of(cls, error: LooplineError) -> Why:
        """Return what an error says."""
        return cls(error.problem, error.fix)


class Policies:
    """Who may what, by roles and policies as their files are now; where there are none, everybody may everything.

    What a request asks is answered by the files as they were when it came, and kept until one changes, since a page
    asks hundreds of times. Files that do not hold together let nobody do anything until they are mended.
    """

    def __init__(self, opened: Callable[[], Platform]) -> None:
        """Take what opens the platform; it is opened when somebody asks for the first time."""
        self._opened = opened
        self._platform: Platform | None = None
        self._opening = threading.Lock()
        self._kept: tuple[Rules | None, dict[_Asked, Why | None]] = (None, {})
        self._looked: tuple[float, Rules | None] = (-LATELY_SECONDS, None)

    @property
    def platform(self) -> Platform:
        """Return the platform, without any vendor."""
        if self._platform is None:
            with self._opening:
                self._platform = self._platform or self._opened()
        return self._platform

    def why_not_in(self, caller: Caller) -> Why | None:
        """Say why somebody may not see this instance, None for whoever has a role in it."""
        try:
            found = self._now()
        except LooplineError as error:
            return Why.of(error)
        if found is None or any(self._roles(found, caller, team) for team in (*found.roles.teams, PLATFORM)):
            return None
        return Why(f"{caller.name} has no role here", _JOIN)

    def why_not(self, caller: Caller, action: str, location: str) -> Why | None:
        """Say why somebody may not do something in a code location, or to the ``WHOLE`` instance, None if they may."""
        try:
            found = self._lately()
        except LooplineError as error:
            return Why.of(error)
        if found is None:
            return None
        answers = self._answers(found)
        asked = caller.name, caller.groups, action, location
        if asked in answers:
            return answers[asked]
        if len(answers) >= MOST_KEPT:
            answers = {}
            self._kept = found, answers
        answers[asked] = why = self._why_not(found, caller, action, location)
        return why

    def insist(self, caller: Caller, subject: str, needed: Iterable[tuple[str, str]], same: str = "") -> None:
        """Hold somebody to all that is needed, and write into the audit's record that it was let through, or not.

        Where a policy wants two, the other asks for the ``same`` subject.

        Raises:
            Denied: one of it is not allowed. LooplineError: the files do not hold together, or nothing can be written.
        """
        subject, policies = subject[:MOST_TOLD], dict[str, None]()
        for action, location in needed:
            asked = Asked(action, self._resource(location), {"mutation": subject, "arguments": same})
            allowing = asking.refuse_denied(self.platform, caller.name, asked, groups=caller.groups)
            policies |= dict.fromkeys(allowing.split(", "))
        told = {"subject": subject, "policy": ", ".join(filter(None, policies))}
        recording.note(self.platform.ledger, ALLOWED, caller.name, **told)

    def _why_not(self, found: Rules, caller: Caller, action: str, location: str) -> Why | None:
        here = rules.circumstances(self.platform.environment)
        question = found.question(caller.name, action, self._resource(location), here, caller.groups)
        if found.engine.decide(question).allowed or found.lacks_second(question):
            return None
        return Why.of(asking.denial(found, question))

    def _now(self) -> Rules | None:
        found = lent.rules_of(self.platform)
        self._looked = time.monotonic(), found
        return found

    def _lately(self) -> Rules | None:
        """Return the rules as a request found them that came within a second: to look takes as long as to decide."""
        at, found = self._looked
        return found if time.monotonic() - at < LATELY_SECONDS else self._now()

    def _roles(self, found: Rules, caller: Caller, team: str) -> frozenset[str]:
        return found.roles.of(caller.name, team, caller.groups)

    def _answers(self, found: Rules) -> dict[_Asked, Why | None]:
        """Return what was answered by these very rules."""
        before, answers = self._kept
        if before is not found:
            answers = {}
            self._kept = found, answers
        return answers

    def _resource(self, location: str) -> Resource:
        if location == WHOLE:
            return EVERYTHING
        if location == PLATFORM_LOCATION:
            return Resource("Location", f"{PLATFORM}/{location}")
        sites = self.platform.environment.sites
        team = sites.base(location)
        return Resource("Location", f"{team}/{location}", team, sites.of(location))
