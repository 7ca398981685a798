"""Client of an endpoint: sends Open Inference Protocol requests to a served model."""

from __future__ import annotations

import abc
import http.client
import time
from urllib.parse import urlsplit

from loopline.platform_core.errors import StoreUnavailable, one_line

IDLE_SECONDS = 30.0
"""A connection that rested longer is opened anew: servers and what stands before them hang up on idle ones."""
_PATIENCE_SECONDS = 30.0


class Caller(abc.ABC):
    """Asks one model by requests of the Open Inference Protocol, one after the other; nothing is tried twice."""

    @abc.abstractmethod
    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Send a request's JSON and wait for its answer.

        Returns:
            HTTP status and body, as our server gave them: a cloud's own words around them are taken off.

        Raises:
            StoreUnavailable: no server of ours answered. InvalidEnvironment: the cloud does not let us ask.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Hang up."""


class HttpCaller(Caller):
    """Asks at a URL over one kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._path = parts.path
        self._connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=_PATIENCE_SECONDS)
        self._used = time.monotonic()

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """POST it."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise StoreUnavailable(
                f"{self._connection.host}:{self._connection.port} does not answer: {one_line(repr(error))}",
                "see that the server runs, and is reached from here",
            ) from error
        self._used = time.monotonic()
        return answer

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
