"""Run the portal: ``python -m loopline.portal.server --port N``, or ``loopline portal``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from loopline.platform_core import environment, plugins
from loopline.platform_core.errors import LooplineError
from loopline.sign_in import open as open_to

HOST, PORT = "127.0.0.1", 8790
_log = logging.getLogger("loopline.portal")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.portal.server", description=__doc__)
    parser.add_argument("--host", default=HOST, help="where to listen")
    parser.add_argument("--port", type=int, default=PORT, help="where to listen")
    parser.add_argument("--name", action="append", default=[], help="a name by which browsers ask, or * for any")
    parser.add_argument("--open", action="store_true", help="listen beyond this machine though nobody signs in")
    for neighbour in ("dagster", "registry", "inference"):
        parser.add_argument(f"--{neighbour}", default="", help="its base URL, for links")
    given = vars(parser.parse_args(arguments))
    logging.basicConfig(format="%(levelname)s %(message)s")
    where, anyway = (given.pop("host"), given.pop("port"), tuple(given.pop("name"))), given.pop("open")
    try:
        serve(*where, anyway=anyway, **given)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2
    return 0


def serve(host: str = HOST, port: int = PORT, names: Sequence[str] = (), *, anyway: bool = False, **links: str) -> None:
    """Answer until told to stop; ``names`` are those by which browsers ask beside this machine's own.

    Where nobody is asked who he is, it listens beyond this machine only ``anyway``.

    Raises:
        InvalidEnvironment: the environment file does not bind. Refused: it would listen beyond, open.
    """
    import uvicorn

    from loopline.platform_core.platform import Platform
    from loopline.portal.app import create_app
    from loopline.portal.links import Links
    from loopline.web_guard import allowed
    from loopline.web_tls import options

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    platform = Platform(environment.read())
    try:
        if platform.environment.sign_in is None:
            _log.warning(open_to.refuse_beyond(host, anyway=anyway))
        _ = platform.ledger  # where it cannot be opened, that is said now and not on each page
        app = create_app(platform, plugins.installed(), Links(**links), hosts=allowed(host, *names))
        uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, **options(host))
    finally:
        platform.close()


if __name__ == "__main__":
    sys.exit(main())
