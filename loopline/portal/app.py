"""The portal as an application: what is live, why, and whether it does well, on pages for people and as JSON."""

from __future__ import annotations

from fastapi import FastAPI, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.portal import errors, rendering
from loopline.portal.ask import Portal
from loopline.portal.links import Links
from loopline.portal.pages import ROUTERS
from loopline.portal.security import PagePolicy, refused
from loopline.web_guard import LOCAL, Guard


def create_app(
    platform: Platform, teams: Installed, links: Links | None = None, *, hosts: tuple[str, ...] = LOCAL
) -> FastAPI:
    """Build the application; the caller opens the platform and closes it.

    ``teams`` is ``plugins.installed()``; ``hosts`` are the names by which browsers may ask, ``("*",)`` for any.
    """
    app = FastAPI(title="Loopline portal", version="1", docs_url=None, redoc_url=None)
    app.state.portal = Portal(platform, teams, links or Links())
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", _Kept(directory=rendering.STATIC), name="static")
    errors.install(app)
    app.add_middleware(Guard, hosts=hosts, refused=refused)
    app.add_middleware(PagePolicy)
    return app


class _Kept(StaticFiles):
    """Files that browsers keep: their address changes with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file, to be kept for a year."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response
