"""Run the collector: ``python -m loopline.collector --environment FILE --root FOLDER``, one for all models."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.collector.app import Collector
from loopline.platform_core import environment
from loopline.platform_core.contracts.serving import CANDIDATE_ROLE, STABLE_ROLE
from loopline.platform_core.environment import environment_file
from loopline.platform_core.errors import InvalidEnvironment, LooplineError
from loopline.platform_core.foundation import logs
from loopline.relay.shipping import Shipping

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState

ROLES_SECONDS = 5.0


class Roles:
    """Which role a version has: what is asked of its model is looked up anew every few seconds."""

    def __init__(self, serving: Any) -> None:
        self._serving = serving
        self._known: dict[str, tuple[float, DesiredState | None]] = {}

    def __call__(self, model: str, version: str) -> str:
        """Say candidate or stable; where the store is away, as it was known last."""
        at, wanted = self._known.get(model, (0.0, None))
        if time.monotonic() - at > ROLES_SECONDS:
            with contextlib.suppress(LooplineError):
                wanted = self._serving.states.wanted(model)
            self._known[model] = time.monotonic(), wanted
        candidate = wanted.candidate if wanted else None
        return CANDIDATE_ROLE if candidate and candidate.version == version else STABLE_ROLE


def main() -> int:
    """Collect until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.collector", description=__doc__)
    parser.add_argument("--environment", type=Path, default=environment_file(), help="environment file")
    parser.add_argument("--root", type=Path, required=True, help="a folder of its own, on a volume that outlives it")
    parser.add_argument("--server", default=socket.gethostname(), help="a name that no server has")
    parser.add_argument("--host", default="0.0.0.0", help="where it listens")  # noqa: S104 - a pod's
    parser.add_argument("--port", type=int, default=8082, help="where it listens")
    parser.add_argument("--drain-seconds", type=float, default=25, help="how long it may go on once told to stop")
    given = parser.parse_args()
    logs.start()
    try:
        return _collect(given)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2


def _collect(given: argparse.Namespace) -> int:
    import uvicorn

    serving: Any = environment.read(given.environment, only=("serving",)).bindings["serving"]
    if not hasattr(serving, "collected"):
        raise InvalidEnvironment(
            f"{given.environment}: {type(serving).__name__} serves by no runtime whose requests are collected",
            "bind serving to 'kserve'",
        )
    name = f"collector-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}"
    shipping = Shipping(given.root, given.server, serving.collected, serving.keep_days * 86_400)
    app = Collector(given.root, name, Roles(serving), shipping, given.drain_seconds)
    uvicorn.run(
        app, host=given.host, port=given.port, log_level="warning", access_log=False, timeout_graceful_shutdown=10
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
