"""Run the feature service: ``python -m loopline.features_api.server --port N``, or ``loopline features serve``."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core import environment, plugins
from loopline.platform_core.errors import LooplineError
from loopline.sign_in import open as open_to

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

HOST, PORT = "127.0.0.1", 8090
REGISTER = "--register"
BINDINGS = ("lake", "online_store", "engine")
_log = logging.getLogger("loopline.features")


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.features_api.server", description=__doc__)
    parser.add_argument(REGISTER, action="store_true", help="register every team that loads, and end")
    parser.add_argument("--host", default=HOST, help="where to listen")
    parser.add_argument("--port", type=int, default=PORT, help="where to listen")
    parser.add_argument("--name", action="append", default=[], help="a name by which it is asked, or * for any")
    parser.add_argument("--open", action="store_true", help="listen beyond this machine though nobody signs in")
    parser.add_argument("--keys", type=Path, help="a file of API keys; only who shows one is answered")
    given = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s")
    try:
        if given.register:
            register_all()
        else:
            serve(given.host, given.port, given.name, given.keys, anyway=given.open)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    return 0


def register_all() -> None:
    """Register every team that loads."""
    from loopline.platform_core.platform import Platform

    platform = Platform(environment.read(only=BINDINGS))
    try:
        register(platform, plugins.installed().here(platform.environment))
    finally:
        platform.close()


def serve(
    host: str = HOST, port: int = PORT, names: Sequence[str] = (), keys: Path | None = None, *, anyway: bool = False
) -> None:
    """Let every team that loads be registered, then answer until told to stop.

    ``names`` are those by which it may be asked beside this machine's own. With ``keys``, a file of API keys, only who
    shows one is answered. Where nobody is asked who he is, it listens beyond this machine only ``anyway``.

    Raises:
        InvalidEnvironment: the environment file does not bind. Refused: it would listen beyond, open.
    """
    import uvicorn

    from loopline.features_api.app import create_app
    from loopline.platform_core.platform import Platform
    from loopline.web_guard import allowed
    from loopline.web_tls import options

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    platform = Platform(environment.read(only=BINDINGS))
    try:
        if keys is None and platform.environment.sign_in is None:
            _log.warning(open_to.refuse_beyond(host, anyway=anyway))
        register_apart()
        app = create_app(
            platform, plugins.installed().here(platform.environment), hosts=allowed(host, *names), keys=keys
        )
        uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, **options(host))
    finally:
        platform.close()


def register_apart() -> None:
    """Register every team that loads, in a process that ends: its engine would stay here with 60 MB."""
    subprocess.run((sys.executable, "-m", "loopline.features_api.server", REGISTER), check=False)  # noqa: S603 - our own


def register(platform: Platform, teams: Sequence[Team]) -> None:
    """Register teams; one that is refused is told in the log, its features are served as they are."""
    from loopline.platform_core.features.registry.registry import FeatureRegistry

    for team in teams:
        try:
            FeatureRegistry(platform).register(team)
        except LooplineError as error:
            _log.warning("team %s is not registered: %s → %s", team.name, error.problem, error.fix)


if __name__ == "__main__":
    sys.exit(main())
