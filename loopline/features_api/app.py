"""Feature service as a FastAPI application: registry and serving routes, one error format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from loopline.features_api import errors, metrics, registry_routes, serving_routes
from loopline.features_api.keyed import OPEN, Keyed
from loopline.features_api.service import Service
from loopline.gateway.api_keys import Authenticator
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.web_guard import LOCAL, Guard

FAILURES: dict[int | str, dict[str, Any]] = {
    **{status: {"model": errors.Failure} for status in (400, 404, 409, 503)},
    "default": {"model": errors.Failure, "description": "What else is wrong"},
}


def create_app(
    platform: Platform, teams: Sequence[Team], *, hosts: tuple[str, ...] = LOCAL, keys: Path | None = None
) -> FastAPI:
    """Build the application; the caller opens the platform and closes it.

    ``hosts`` are the names by which it may be asked, ``("*",)`` for any. With ``keys``, a file of API keys, only who
    shows one is answered; without, but where the environment says how people and services sign in, only who has.

    Raises:
        ContractBroken: the file is none of API keys.
    """
    app = FastAPI(title="Loopline features", version="1", responses=FAILURES)
    app.state.service = Service(platform, tuple(teams))
    metrics.install(app)
    app.include_router(registry_routes.router)
    serving_routes.install(app)
    errors.install(app)
    if keys:
        app.add_middleware(Keyed, authenticator=Authenticator(keys))
    elif platform.environment.sign_in is not None:
        from loopline.sign_in.desk import Desk
        from loopline.sign_in.middleware import SignIn

        desk = Desk.of(platform.environment, platform.ledger)
        app.add_middleware(SignIn, desk=desk, open_paths=OPEN)
    app.add_middleware(Guard, hosts=hosts)
    return app
