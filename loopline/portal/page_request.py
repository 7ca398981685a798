"""Request context of portal routes: the platform, caches and links, and how a route answers.

``def route(ask: CurrentRequest) -> Response: return ask.answer(SomePage(...))``
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request, Response

from loopline.platform_core.identity.caller import Caller, caller_of
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed, Quarantined
from loopline.portal import rendering
from loopline.portal.cache import Caches
from loopline.portal.links import Links
from loopline.portal.page import Page
from loopline.sign_in.own import Own

if TYPE_CHECKING:
    from loopline.graphql import Dagster
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.specs import Model, Team

JSON = "application/json"


@dataclass(frozen=True)
class Portal:
    """What every page may look at: the platform as bound, teams that load and that do not, links, caches."""

    platform: Platform
    installed: Installed
    links: Links = field(default_factory=Links)
    caches: Caches = field(default_factory=Caches, compare=False)

    @cached_property
    def _own(self) -> Own:
        return Own(self.platform)

    def dagster(self, seconds: float) -> Dagster | None:
        """Return a client of Dagster's GraphQL that waits so long; None where Dagster is not there."""
        return self.links.graphql(seconds, self._own)

    @property
    def teams(self) -> tuple[Team, ...]:
        """Return the teams that load."""
        return self.installed.teams

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """Return the teams that do not load, with their reasons."""
        return self.installed.quarantined

    def version_url(self, ref: ModelRef, version: str) -> str:
        """Link a version's page in the registry's own UI, "" where it has none."""
        return self.platform.registry.page(ref.dotted, version, self.links.registry)

    def declared(self, ref: ModelRef) -> Model | None:
        """Return a model's declaration; None where its team does not load, or declares it no longer."""
        models = [m for t in self.teams if t.name == ref.team for m in t.models if m.name == ref.model]
        return models[0] if models else None

    def knows(self, ref: ModelRef) -> bool:
        """Say whether a team that loads declares a model, or the ledger ever heard of it."""
        return self.declared(ref) is not None or bool(self.platform.ledger.entries(ref, limit=1))


@dataclass(frozen=True)
class PageRequest:
    """One request to the portal."""

    request: Request
    portal: Portal

    @property
    def platform(self) -> Platform:
        """Return the platform as bound."""
        return self.portal.platform

    @property
    def caller(self) -> Caller | None:
        """Return who asks; None where nobody has to sign in."""
        return caller_of(self.request.scope)

    def answer(self, page: Page, status: int = 200) -> Response:
        """Answer with a page, in the form that was asked for."""
        return answer(self.request, page, status)


def answer(request: Request, page: Page, status: int = 200) -> Response:
    """Show a page as JSON where that was asked for, else as HTML."""
    if wants_json(request):
        return Response(rendering.as_json(page), status, media_type=JSON)
    return Response(rendering.as_html(page, request), status, media_type="text/html; charset=utf-8")


def wants_json(request: Request) -> bool:
    """Say whether JSON was asked for: by ``.json`` at the end of the path, or by an Accept that names it first."""
    if request.scope.get("loopline.json"):
        return True
    accepted = request.headers.get("accept", "")
    json, html = accepted.find(JSON), accepted.find("text/html")
    return json >= 0 and (html < 0 or json < html)


def _current_request(request: Request) -> PageRequest:
    portal: Portal = request.app.state.portal
    return PageRequest(request, portal)


CurrentRequest = Annotated[PageRequest, Depends(_current_request)]
"""A route's parameter by which it gets the request and the portal."""
