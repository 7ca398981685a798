"""gRPC channel to a Google Cloud service, with this process's credentials, or to an emulator."""

from __future__ import annotations

import os
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment

PLAIN = "http://"


def transport_of(kind: Any, endpoint: str | None, emulator: str) -> tuple[Any, str | None]:
    """Open a transport of the client's class ``kind``; says too which project the identity is of, if any.

    ``endpoint`` is a host, or ``http://host:port`` of an emulator; ``emulator`` is the variable by which Google's tools
    say where one runs.
    """
    import google.auth
    import grpc

    plain = endpoint.removeprefix(PLAIN) if endpoint and endpoint.startswith(PLAIN) else os.environ.get(emulator)
    if plain and (not endpoint or endpoint.startswith(PLAIN)):
        return kind(host=plain, channel=grpc.insecure_channel(plain, options=_OPTIONS)), None
    credentials, project = google.auth.default(scopes=kind.AUTH_SCOPES)
    return kind(host=endpoint or kind.DEFAULT_HOST, credentials=credentials), project


def project_of(named: str | None, found: str | None, service: str) -> str:
    """Return the project that is named, else of the environment, else of the identity.

    Raises:
        InvalidEnvironment: there is none.
    """
    project = named or os.environ.get("GOOGLE_CLOUD_PROJECT") or found
    if not project:
        raise InvalidEnvironment(f"no project for {service} is known", "set 'project' in the environment file")
    return project


_OPTIONS = [("grpc.max_receive_message_length", -1)]
"""As Google's own channels have it."""
