"""Run Dagster's web server with our guard: ``python -m loopline.up.web_server --workspace FILE``.

By itself it executes a mutation that stands in an address, so any page's image could launch a run; it answers to any
name, opens a websocket for any page, and lets any page frame it. Where people sign in, roles say who may do what.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from starlette.middleware import Middleware

from loopline.asset_defs.private.dagster_web_private import GuardedWebserver, workspace_of
from loopline.platform_core import environment
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.platform import Platform
from loopline.sign_in import open as open_to
from loopline.up.rights.doors import Roles
from loopline.web_guard import GRAPHQL, Guard, allowed
from loopline.web_tls import options

if TYPE_CHECKING:
    from dagster._core.workspace.context import WorkspaceProcessContext

ALIVE = frozenset({"/server_info"})
"""What says that the server lives, and of which version it is."""


def guard() -> Middleware:
    """Return the guard of this machine's names and those of ``LOOPLINE_HOSTS``."""
    return Middleware(Guard, hosts=allowed(), **GRAPHQL)


def sign_in(host: str) -> list[Middleware]:
    """Return what asks who somebody is, where the environment file says how; else nothing, on this machine only.

    Raises:
        Refused: it would listen beyond this machine, open. InvalidEnvironment: the file does not hold together.
    """
    desk = open_to.desk_of(host)
    if desk is None:
        return []
    from loopline.sign_in.middleware import SignIn

    return [Middleware(SignIn, desk=desk, open_paths=ALIVE)]


def web_server(context: WorkspaceProcessContext, *asking: Middleware) -> GuardedWebserver:
    """Return Dagster's web server with the guard before it, and the doors that open by roles in it.

    What asks who somebody is stands between them. The environment file is read when somebody who has signed in asks for
    the first time.
    """
    return GuardedWebserver(context, Roles(lambda: Platform(environment.read(only=()))), (guard(), *asking))


def _nothing(*_: object) -> None:
    """Do nothing."""


def serve(host: str, port: int, workspace: str, opened: Callable[[str, WorkspaceProcessContext], None]) -> None:
    """Serve until told to stop, over TLS where files are named; ``opened`` is told of the workspace once it is read.

    Raises:
        Refused, InvalidEnvironment: see ``sign_in``.
    """
    asking, tls = sign_in(host), options(host)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with suppress(KeyboardInterrupt), workspace_of(workspace) as context:
        opened(workspace, context)
        app = web_server(context, *asking).create_asgi_app()
        uvicorn.run(app, host=host, port=port, log_level="warning", **tls)


def main(opened: Callable[[str, WorkspaceProcessContext], None] = _nothing) -> int:
    """Serve, or say in two lines why that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m loopline.up.web_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=3000, help="where to listen")
    parser.add_argument("--workspace", default="workspace.yaml", help="Dagster's file of code locations")
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        serve(given.host, given.port, given.workspace, opened)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
