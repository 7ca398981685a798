"""Signed-in user in the page header: name, roles, pending requests, sign-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.identity.caller import Caller, caller_of

if TYPE_CHECKING:
    from fastapi import Request

    from loopline.platform_core.platform import Platform


@dataclass(frozen=True)
class Me:
    """Who is signed in; ``roles`` are ``team: role, role``, ``problem`` is why they cannot be told.

    ``waiting`` counts the requests for a role that wait and that this one may answer.
    ``token`` goes along with the form that signs out, "" for who came by a token and has no session to end.
    """

    name: str
    service: bool
    roles: list[str]
    problem: str
    token: str
    waiting: int = 0


def of(request: Request) -> Me | None:
    """Return who asks; None where nobody has to sign in."""
    caller = caller_of(request.scope)
    if caller is None:
        return None
    from loopline.sign_in import cookies
    from loopline.sign_in.desk import form_token

    environment = request.app.state.portal.platform.environment
    roles, problem, waiting = _roles(request.app.state.portal.platform, caller)
    secure = cookies.is_secure(request.scope, environment.sign_in.https)
    word = cookies.read(request.scope["headers"], cookies.SESSION, secure)
    return Me(caller.name, caller.service, roles, problem, form_token(word) if word and caller.session else "", waiting)


def _roles(platform: Platform, caller: Caller) -> tuple[list[str], str, int]:
    """Return roles by team, those for a while among them, why they cannot be told, and how many requests wait.

    None of them where everybody may decide.
    """
    if platform.environment.access is None:
        return [], "", 0
    from loopline.platform_core.policies import lent

    try:
        known, now = lent.loans(platform), platform.clock.now()
        found = lent.rules_with(platform, known)
    except LooplineError as error:
        return [], error.problem, 0
    if found is None:
        return [], "", 0
    held = found.roles.by_team(caller.name, caller.groups)
    waiting = lent.answerable(
        platform, found, [one for one in known if one.state(now) == "asked"], caller.name, caller.groups
    )
    told = [f"{team}: {', '.join(sorted(roles))}" for team, roles in sorted(held.items())] or ["none"]
    return told, "", len(waiting)
