"""MLflow application factory (entry point ``loopline`` of ``mlflow.app``): wraps MLflow's server in our guard.

Which environment file is in force say ``LOOPLINE_ENVIRONMENT`` and ``LOOPLINE_HOME``, as for every other server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from loopline.platform_core import environment
from loopline.platform_core.errors import LooplineError, Refused
from loopline.platform_core.foundation.credentials import keep_within
from loopline.sign_in import open as open_to
from loopline.web_guard import GRAPHQL, Guard, allowed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.sign_in.desk import Desk
    from loopline.up.rights.policies import Policies

ALIVE = ("/health", "/version")
STATIC = "/static-files/"
REFUSED = 3
"""By which a worker tells gunicorn not to start it again."""
_SERVED_BY, _PREFIX = "_MLFLOW_SGI_NAME", "_MLFLOW_STATIC_PREFIX"
"""By these MLflow tells its workers what runs them, and below which path its pages are."""


def application() -> ASGIApp:
    """Make it, or say in two lines why that cannot be, and end."""
    try:
        return made()
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        raise SystemExit(REFUSED) from error


def made() -> ASGIApp:
    """Return MLflow's application behind the guard; where the environment file says so, behind the sign-in too.

    Raises:
        Refused: another server than uvicorn would call it, or it would listen beyond this machine, open.
        InvalidEnvironment: the file does not hold together. StoreUnavailable: the ledger does not answer.
    """
    if os.environ.get(_SERVED_BY, "uvicorn") != "uvicorn":
        raise Refused(
            "MLflow's server has one door for all of its parts where uvicorn runs it, and there alone",
            "leave out --gunicorn-opts and --waitress-opts",
        )
    keep_within(list(os.environ.values()))  # in one of them MLflow has its database's URL
    asking = _asking()
    from mlflow.server.fastapi_app import app

    return guarded(app, asking, os.environ.get(_PREFIX, "").rstrip("/"))


def guarded(app: ASGIApp, asking: tuple[Desk, Policies] | None, prefix: str = "") -> ASGIApp:
    """Wrap MLflow's application: guard, sign-in, door; without who is asked, the guard alone."""
    inner: ASGIApp = Unshared(app)
    if asking is not None:
        from loopline.mlflow_ui.door import Door
        from loopline.sign_in.middleware import SignIn

        desk, policies = asking
        alive = frozenset(f"{prefix}{path}" for path in ALIVE)
        inner = SignIn(Door(inner, policies, prefix), desk, open_paths=alive, static=(f"{prefix}{STATIC}",))
    return Guard(inner, hosts=allowed(), **GRAPHQL)


class Unshared:
    """Wraps MLflow's application, which lets every page of this machine read its answers: this lets none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without the headers by which another origin's page may read it."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
            await send(message)

        await self._app(scope, receive, sending)


def _asking() -> tuple[Desk, Policies] | None:
    desk = open_to.desk_of(_host(sys.argv))
    if desk is None:
        return None
    from loopline.platform_core.platform import Platform
    from loopline.up.rights.policies import Policies

    return desk, Policies(lambda: Platform(environment.read(only=())))


def _host(arguments: Sequence[str]) -> str:
    """Return where uvicorn listens by its own options; whoever calls us in another way may listen everywhere."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - where nothing is said, nothing is held back
    return str(parser.parse_known_args(arguments)[0].host)
