"""Page of temporary roles: requests, grants with their end, and past ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Response

from loopline.platform_core.policies import lent
from loopline.portal.page import Page
from loopline.portal.page_request import CurrentRequest

if TYPE_CHECKING:
    from loopline.platform_core.policies.lent import Loan
    from loopline.portal.page_request import PageRequest

router = APIRouter()


@dataclass(frozen=True)
class LoanRow:
    """A role that somebody asked for; ``until`` is when it ends, or when nobody can grant it any more.

    ``by`` is who answered last, ``answer`` what that one said; ``mine`` that who looks at the page may answer it.
    """

    number: int
    person: str
    role: str
    hours: float
    reason: str
    asked_at: datetime
    state: str
    until: datetime
    by: str
    answer: str
    mine: bool


@dataclass(frozen=True)
class AccessPage(Page):
    """What waits, the oldest first; what was granted, what ends first first; and the rest of two weeks.

    ``guarded`` says whether the environment says who may decide: where it does not, nobody needs a role.
    """

    template: ClassVar[str] = "access.html"
    section: ClassVar[str] = "/access"
    guarded: bool
    waiting: list[LoanRow]
    granted: list[LoanRow]
    over: list[LoanRow]

    @property
    def title(self) -> str:
        """Return what the page is about."""
        return "Access"


@router.get("/access", response_model=AccessPage)
def page(ask: CurrentRequest) -> Response:
    """List the roles that people asked for in the last two weeks."""
    if ask.platform.environment.access is None:
        return ask.answer(AccessPage(guarded=False, waiting=[], granted=[], over=[]))
    known, now = lent.loans(ask.platform), ask.platform.clock.now()
    mine = _answerable(ask, [one for one in known if one.state(now) in {"asked", "granted"}])
    rows = [_row(one, one.state(now), one.number in mine) for one in known]
    waiting, granted = ([row for row in rows if row.state == state] for state in ("asked", "granted"))
    over = [row for row in rows if row.state in {"refused", "ended"}]
    return ask.answer(AccessPage(True, waiting[::-1], sorted(granted, key=lambda row: row.until), over))


def _answerable(ask: PageRequest, known: list[Loan]) -> set[int]:
    """Return what who asks may answer; all of it where the form is to say who that is."""
    if ask.caller is None:
        return {one.number for one in known}
    found = lent.rules_with(ask.platform, known)
    return lent.answerable(ask.platform, found, known, ask.caller.name, ask.caller.groups) if found else set()


def _row(one: Loan, state: str, mine: bool) -> LoanRow:
    plain = {name: getattr(one, name) for name in ("number", "person", "hours", "reason", "asked_at", "answer")}
    until = one.until or one.waits_until
    return LoanRow(role=one.named, state=state, until=until, by=one.answered_by, mine=mine, **plain)
