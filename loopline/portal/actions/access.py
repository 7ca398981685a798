"""Portal actions on temporary roles: request, grant, refuse, end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import BadRequest, NotFound, Refused
from loopline.platform_core.policies import lent, rules
from loopline.platform_core.policies.question import PLATFORM, ROLES
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import number_of, required, role_of
from loopline.portal.filters import hours, moment

if TYPE_CHECKING:
    from loopline.platform_core.policies.lent import Loan
    from loopline.portal.page_request import Portal

PAGE = "/access"
USUAL_HOURS = "8"


def _propose_request(portal: Portal, given: Given) -> Proposal:
    lent.refuse_without_rules(portal.platform)
    teams = _teams(portal)
    team, role = (given.get(name, "").strip() for name in ("team", "role"))
    return Proposal(
        "Ask for a role for a while",
        [
            f"Somebody else grants it or refuses it; {_granting(portal, team, role)}",
            f"It ends by itself, after {lent.MOST_HOURS} hours at most; a request waits {lent.WAITS_HOURS // 24} days.",
            f"A role of the team {PLATFORM} holds in all teams.",
        ],
        [
            Field("team", "Team", team or teams[0], "choice", (*teams, team) if team and team not in teams else teams),
            Field("role", "Role", role or ROLES[0], "choice", ROLES),
            Field("hours", "Hours", given.get("hours", USUAL_HOURS), "text", hint="from when it is granted"),
        ],
        "Ask for it",
        PAGE,
    )


def _request(portal: Portal, given: Given, who: Signed) -> Outcome:
    lent.refuse_without_rules(portal.platform)
    loan = lent.request(portal.platform, who.by, role_of(given), _hours(given), who.reason)
    told = f"Request {loan.number}: {loan.person} asks for {loan.named} for {hours(loan.hours)}."
    return Outcome(told, _see(), [_granting(portal, loan.team, loan.role, loan.person)])


def _propose_grant(portal: Portal, given: Given) -> Proposal:
    loan = _of_state(portal, given, "asked")
    then = f"{loan.person} has it for {hours(loan.hours)} from now on, then it ends by itself."
    return _answering(loan, f"Grant {loan.named} to {loan.person}", [then], "Grant it", grave=False)


def _grant(portal: Portal, given: Given, who: Signed) -> Outcome:
    lent.refuse_without_rules(portal.platform)
    loan = lent.grant(portal.platform, who.by, number_of(given), who.reason)
    return Outcome(f"{loan.person} has {loan.named} until {moment(loan.until)}.", _see())


def _propose_refusal(portal: Portal, given: Given) -> Proposal:
    loan = _of_state(portal, given, "asked")
    then = f"{loan.person} is shown your reason, and may ask again."
    return _answering(loan, f"Refuse {loan.named} to {loan.person}", [then], "Refuse it")


def _refuse(portal: Portal, given: Given, who: Signed) -> Outcome:
    lent.refuse_without_rules(portal.platform)
    loan = lent.refuse(portal.platform, who.by, number_of(given), who.reason)
    return Outcome(f"Request {loan.number} of {loan.person} for {loan.named} is refused.", _see())


def _propose_end(portal: Portal, given: Given) -> Proposal:
    loan = _of_state(portal, given, "granted")
    then = [f"It would end by itself at {moment(loan.until)}.", "What was decided by it stays."]
    return _answering(loan, f"Take {loan.named} back from {loan.person}", then, "Take it back")


def _end(portal: Portal, given: Given, who: Signed) -> Outcome:
    lent.refuse_without_rules(portal.platform)
    loan = lent.end(portal.platform, who.by, number_of(given), who.reason)
    return Outcome(f"{loan.person} has {loan.named} no more.", _see())


def _answering(loan: Loan, title: str, then: list[str], button: str, *, grave: bool = True) -> Proposal:
    """Propose an answer to a request, below what was asked for and why."""
    asked = f"{loan.person} asked for it for {hours(loan.hours)} at {moment(loan.asked_at)}: {loan.reason}"
    return Proposal(title, [asked, *then], [Field("number", value=str(loan.number))], button, PAGE, grave=grave)


def _of_state(portal: Portal, given: Given, state: str) -> Loan:
    lent.refuse_without_rules(portal.platform)
    loan = lent.loan(portal.platform, number_of(given))
    found = loan.state(portal.platform.clock.now())
    if found != state:
        raise Refused(
            f"request {loan.number} of {loan.person} for {loan.named} is {found}", "look at the page 'Access'"
        )
    return loan


def _hours(given: Given) -> float:
    text = required(given, "hours")
    try:
        return float(text)
    except ValueError:
        raise BadRequest(f"{text!r} is no number of hours", "write it as 8 or 0.5") from None


def _teams(portal: Portal) -> tuple[str, ...]:
    """Return the teams that load, those of the file of roles, and what stands for all of them."""
    environment = portal.platform.environment
    found = rules.of(environment)
    named = {environment.sites.base(team.name) for team in portal.teams} | set(found.roles.teams if found else ())
    return (*sorted(named), PLATFORM)


def _granting(portal: Portal, team: str, role: str, person: str = "") -> str:
    """Say who may grant a role now."""
    if not team or not role:
        return "an owner grants roles of the own team, a platform admin all."
    try:
        can = lent.who_grants(portal.platform, f"{team}/{role}", person)
    except NotFound:  # the form stays, and is told what is wrong when it is sent
        return f"there is no role {team}/{role}."
    return f"who may grant it now: {', '.join(can)}." if can else "nobody may grant it as the files are now."


def _see() -> list[tuple[str, str]]:
    return [("Access", PAGE)]


ACTIONS = (
    Action("request-role", _propose_request, _request),
    Action("grant-role", _propose_grant, _grant),
    Action("refuse-role", _propose_refusal, _refuse),
    Action("end-role", _propose_end, _end),
)
