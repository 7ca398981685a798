"""Dagster's web server behind our guard: ``python -m loopline.up.web_server``, with all of its own options.

By itself it executes a mutation that stands in an address, so any page's image could launch a run; it answers to any
name, opens a websocket for any page, and lets any page frame it. Where people sign in, roles say who may do what.
"""

from __future__ import annotations

import argparse
import functools
import os
import runpy
import sys
from collections.abc import Sequence

import uvicorn
from starlette.middleware import Middleware

from loopline.asset_defs.dagster_private import wrap_web_server
from loopline.asset_defs.dagster_web_private import guard_web_server
from loopline.platform_core import environment
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.platform import Platform
from loopline.sign_in import open as open_to
from loopline.up.rights.doors import Roles
from loopline.web_guard import GRAPHQL, Guard, allowed
from loopline.web_tls import options

ALIVE = frozenset({"/server_info"})
"""What says that the server lives, and of which version it is."""


def guard() -> Middleware:
    """Return the guard of this machine's names and those of ``LOOPLINE_HOSTS``."""
    return Middleware(Guard, hosts=allowed(), **GRAPHQL)


def sign_in() -> list[Middleware]:
    """Return what asks who somebody is, where the environment file says how; else nothing, on this machine only.

    Raises:
        Refused: it would listen beyond this machine, open. InvalidEnvironment: the file does not hold together.
    """
    desk = open_to.desk_of(_host(sys.argv))
    if desk is None:
        return []
    from loopline.sign_in.middleware import SignIn

    return [Middleware(SignIn, desk=desk, open_paths=ALIVE)]


def stand_guard(*asking: Middleware) -> None:
    """Put the guard before Dagster's web server of this process, and the doors that open by roles into it.

    What asks who somebody is stands between them. The environment file is read when somebody who has signed in asks for
    the first time.
    """
    wrap_web_server(guard(), *asking)
    guard_web_server(Roles(lambda: Platform(environment.read(only=()))))


def main() -> None:
    """Serve with the options of the command line; over TLS where files are named, for which Dagster has no option."""
    asking = sign_in()
    uvicorn.run = functools.partial(uvicorn.run, **options(_host(sys.argv)))
    stand_guard(*asking)
    runpy.run_module("dagster_webserver", run_name="__main__", alter_sys=True)


def _host(arguments: Sequence[str]) -> str:
    """Return where Dagster listens by its own options and variable, of which the last is meant."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--host", default=os.environ.get("DAGSTER_WEBSERVER_HOST", "127.0.0.1"))
    return str(parser.parse_known_args(arguments)[0].host)


def run() -> int:
    """Serve, or say in two lines why that cannot be."""
    try:
        main()
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run())
