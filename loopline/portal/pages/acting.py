"""Routes of portal actions: GET shows the proposal and form, POST acts."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import quote, unquote

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from loopline.features_api.errors import delay_of, status_of
from loopline.platform_core.audit.origin import acting
from loopline.platform_core.errors import BadRequest, Denied, LooplineError, NotFound
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.names import NOBODY
from loopline.portal.actions import ACTIONS, tokens
from loopline.portal.actions.action import Action, Given, Outcome, Proposal, Signed
from loopline.portal.actions.deciding import refuse_denied
from loopline.portal.errors import Problem
from loopline.portal.page import Page
from loopline.portal.page_request import CurrentRequest, PageRequest, Portal, wants_json
from loopline.portal.pages.sent import Sent

router = APIRouter(prefix="/actions")
NAME_COOKIE = "loopline_name"
YEAR_SECONDS = 365 * 86_400
LONGEST_NAME, LONGEST_REASON = 120, 1_000


@dataclass(frozen=True)
class ActionPage(Page):
    """What an action would do, and its form; after a refusal with ``error``, and everything that was written.

    A program sends the fields back as a JSON object with ``by``, ``reason``, ``token`` and ``key``, and the cookie that
    came with them. One ``key`` is acted on once.
    """

    template: ClassVar[str] = "action.html"
    name: str
    proposal: Proposal | None
    by: str
    reason: str
    token: str
    key: str
    error: Problem | None = None
    back: str = "/models"

    @property
    def title(self) -> str:
        """Return what would be done."""
        return self.proposal.title if self.proposal else self.name.replace("-", " ").capitalize()


@dataclass(frozen=True)
class DonePage(Page):
    """What was done."""

    template: ClassVar[str] = "done.html"
    name: str
    done: Outcome

    @property
    def title(self) -> str:
        """Say that it is done."""
        return "Done"


@router.get("/done/{receipt}", response_model=DonePage)
def done(ask: CurrentRequest, receipt: str) -> Response:
    """Show what was done; after a restart of the portal only the ledger knows."""
    name, _, key = receipt.partition(".")
    outcome = ask.portal.caches.outcomes.known(key)
    if outcome is None:
        raise NotFound("what came of this is not kept any more", "look at the ledger of what it was about")
    return ask.answer(DonePage(name, outcome))


@router.get("/{name}", response_model=ActionPage)
def form(ask: CurrentRequest, name: str) -> Response:
    """Show what an action would do now, and the form by which a person signs it."""
    action, given = _action(name), dict(ask.request.query_params)
    return _answer(ask, _page(ask, action, action.propose(ask.portal, given), given))


@router.post("/{name}", response_model=DonePage)
def act(ask: CurrentRequest, name: str, given: Sent) -> Response:
    """Do it, once a key; what is refused shows its problem and fix above the form, with everything that was written."""
    action = _action(name)
    try:
        _require_ours(ask, given)
        who = _signed(given, ask.caller)
        key = _key(name, {**given, "by": who.by})
        outcome = ask.portal.caches.outcomes.run(key, lambda: _done(ask.portal, action, given, who))
    except LooplineError as error:
        return _refused(ask, action, given, error)
    if wants_json(ask.request):
        return ask.answer(DonePage(name, outcome))
    response = RedirectResponse(f"/actions/done/{name}.{key}", 303)
    if ask.caller is None:
        _remember(ask, response, NAME_COOKIE, quote(who.by, safe=""), YEAR_SECONDS)
    return response


def _done(portal: Portal, action: Action, given: Given, who: Signed) -> Outcome:
    """Do it, if policies let this person; the record names them."""
    with acting(policy=refuse_denied(portal, action.name, given, who)):
        return action.act(portal, given, who)


def _action(name: str) -> Action:
    if name not in ACTIONS:
        raise NotFound(f"there is no action {name!r}", f"use one of {', '.join(ACTIONS)}")
    return ACTIONS[name]


def _page(ask: PageRequest, action: Action, proposal: Proposal | None, given: Given) -> ActionPage:
    key = tokens.secret(ask.platform.home)
    cookie = ask.request.cookies.get(tokens.COOKIE, "") or tokens.browser()
    by = ask.caller.name if ask.caller else given.get("by") or unquote(ask.request.cookies.get(NAME_COOKIE, ""))
    once = given.get("key") or secrets.token_urlsafe(16)
    back = proposal.back if proposal else "/models"
    ask.request.state.form_cookie = cookie
    signed = by[:LONGEST_NAME], given.get("reason", ""), tokens.token(key, _bound(ask, cookie))
    return ActionPage(action.name, proposal, *signed, once, back=back)


def _answer(ask: PageRequest, page: ActionPage, status: int = 200) -> Response:
    response = ask.answer(page, status)
    _remember(ask, response, tokens.COOKIE, ask.request.state.form_cookie, None)
    return response


def _refused(ask: PageRequest, action: Action, given: Given, error: LooplineError) -> Response:
    """Show the form again, in place, as far as there is still something to propose."""
    status, problem = status_of(error), Problem.of(error)
    try:
        proposal = action.propose(ask.portal, given)
    except LooplineError:
        proposal = None
    page = replace(_page(ask, action, proposal, given), error=problem)
    response = _answer(ask, page, status)
    response.headers.update(delay_of(error))
    return response


def _require_ours(ask: PageRequest, given: Given) -> None:
    """Take only forms that this portal made for this browser; ``web_guard.Guard`` has looked at the origin."""
    key, cookie = tokens.secret(ask.platform.home), ask.request.cookies.get(tokens.COOKIE, "")
    if not cookie or not tokens.matches(key, _bound(ask, cookie), given.get("token", "")):
        fix = "send it again from this page; a program first gets the action's page as JSON, with its cookie and token"
        raise BadRequest("the form does not come from this portal's page, or the browser keeps no cookie", fix, 403)


def _bound(ask: PageRequest, cookie: str) -> str:
    """Bind a form to the session in which it was shown: whoever signs in next sends none of the one before."""
    return f"{cookie} {ask.caller.session} {ask.caller.name}" if ask.caller else cookie


def _signed(given: Given, caller: Caller | None) -> Signed:
    """Return who decides: who is signed in, else whom the form names.

    Raises:
        Denied: the form names another one. BadRequest: it does not say who or why, or as the ledger cannot keep it.
    """
    by, reason = given.get("by", "").strip(), given.get("reason", "").strip()
    if caller is not None:
        if by not in {"", caller.name}:
            fix = f"leave 'by' out, or sign in as {by}"
            raise Denied(f"{caller.name} is signed in, and cannot decide as {by}", fix)
        by = caller.name
    for value, what, longest in ((by, "your name", LONGEST_NAME), (reason, "the reason", LONGEST_REASON)):
        if not value:
            raise BadRequest(f"{what} is missing", "the ledger keeps who decided, and why: say both")
        if len(value) > longest or not value.isprintable():
            raise BadRequest(f"{what} is no single line of at most {longest} characters", "write it shorter")
    if by.casefold() in NOBODY:
        raise BadRequest(f"{by!r} is nobody's name", "write your own: what is signed so was decided by no person")
    return Signed(by, reason, caller.groups if caller else frozenset())


def _key(name: str, given: Given) -> str:
    """Name what was sent: the same form sent twice has the same key; a form without one is by itself each time."""
    once = given.get("key") or secrets.token_urlsafe(16)
    said = json.dumps([name, once, sorted((k, v) for k, v in given.items() if k not in {"token", "key"})])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _remember(ask: PageRequest, response: Response, name: str, value: str, seconds: int | None) -> None:
    secure = ask.request.url.scheme == "https"
    response.set_cookie(name, value, seconds, path="/actions", secure=secure, httponly=True, samesite="strict")
