"""Authentication plugin of MLflow's client for the platform's programs: ``MLFLOW_TRACKING_AUTH=loopline``.

MLflow loads this with its client, so nothing heavy is imported before a request is sent.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import PreparedRequest

    from loopline.sign_in.own import Own

NAME = "loopline"


class OwnAuth:
    """What MLflow asks for how to sign a request; see its ``RequestAuthProvider``."""

    def get_name(self) -> str:
        """Return by which name it is chosen."""
        return NAME

    def get_auth(self) -> Signed:
        """Return what signs a request."""
        return Signed()


class Signed:
    """Adds a session of the ledger's database to what is asked of the environment's registry, and of no other server.

    Raises:
        InvalidEnvironment: no environment file is in force. StoreUnavailable: the ledger does not answer.
    """

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request, as requests' own ``auth`` does."""
        server, own = _own(os.getpid())
        if server and (request.url or "").startswith(f"{server}/"):
            request.headers.update(own())
        return request


@cache
def _own(_: int) -> tuple[str, Own]:
    """Return the registry's server, "" where it is none, and what makes a session; a forked process has its own."""
    from loopline.platform_core import environment
    from loopline.platform_core.platform import Platform
    from loopline.sign_in.own import Own

    platform = Platform(environment.read(only=("registry",)))
    server = str(getattr(platform.registry, "tracking_uri", ""))
    return (server.rstrip("/") if server.startswith("http") else ""), Own(platform)
