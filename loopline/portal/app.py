"""The portal as a FastAPI application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.portal import errors, rendering
from loopline.portal.errors import ErrorPage
from loopline.portal.links import Links
from loopline.portal.page_request import JSON, Portal
from loopline.portal.pages import ROUTERS
from loopline.portal.security import PagePolicy, refused
from loopline.web_guard import LOCAL, Guard

WORTH_PACKING = 1024
"""Bytes."""
FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorPage, "description": "What was asked for has another form"},
    404: {"model": ErrorPage, "description": "There is no such thing"},
    "default": {"model": ErrorPage, "description": "Not allowed (403), not now (409), not there (503), a defect (500)"},
}


def create_app(
    platform: Platform, teams: Installed, links: Links | None = None, *, hosts: tuple[str, ...] = LOCAL
) -> FastAPI:
    """Build the application; the caller opens the platform and closes it.

    ``teams`` is ``plugins.installed()``; ``hosts`` are the names by which browsers may ask, ``("*",)`` for any. Where
    the environment says how people sign in, nobody is answered who has not.
    """
    app = _Described(title="Loopline portal", version="1", docs_url=None, redoc_url=None, responses=FAILURES)
    app.state.portal = Portal(platform, teams, links or Links())
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", _CachedFiles(directory=rendering.STATIC), name="static")
    errors.install(app)
    app.add_middleware(_Packed, minimum_size=WORTH_PACKING)
    if platform.environment.sign_in is not None:
        from loopline.sign_in.desk import Desk
        from loopline.sign_in.middleware import SignIn

        app.add_middleware(SignIn, desk=Desk.of(platform.environment, platform.ledger))
    app.add_middleware(Guard, hosts=hosts, refused=refused)
    app.add_middleware(PagePolicy)
    return app


class _Described(FastAPI):
    """Says in its OpenAPI that whatever is answered as JSON is a page for people as well."""

    def openapi(self) -> dict[str, Any]:
        """Describe the application."""
        if self.openapi_schema is None:
            for path in super().openapi()["paths"].values():
                for answer in (answer for operation in path.values() for answer in operation["responses"].values()):
                    if "$ref" in answer.get("content", {}).get(JSON, {}).get("schema", {}):
                        answer["content"]["text/html"] = {"schema": {"type": "string"}}
        return super().openapi()


class _Packed(GZipMiddleware):
    """Packs what is long, but for forms.

    Their pages hold a secret beside what an address says: who could make a browser ask for many addresses and see how
    long the answers are could guess it letter by letter.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_form = scope["type"] == "http" and scope["path"].startswith("/actions/")
        await (self.app if is_form else super().__call__)(scope, receive, send)


class _CachedFiles(StaticFiles):
    """Files that browsers keep: their address changes with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file, to be kept for a year."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response
