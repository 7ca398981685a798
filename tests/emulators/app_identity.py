"""Where a managed identity gets its tokens, as App Service has it."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

from tests.emulators.http_server import Answer, Request, Serving, as_json

_LASTS_SECONDS = 3600


class Identity:
    """``token`` is what it gives to whoever knows the header, and says for what."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._server = Serving(self._answer)

    @property
    def environment(self) -> dict[str, str]:
        """Return by which variables a process has the identity."""
        return {"IDENTITY_ENDPOINT": f"{self._server.url}/token", "IDENTITY_HEADER": "tests"}

    def end(self) -> None:
        """Give no more tokens."""
        self._server.stop()

    def _answer(self, request: Request) -> Answer:
        asked = parse_qs(urlsplit(request.path).query)
        if request.headers.get("X-IDENTITY-HEADER") != "tests" or "resource" not in asked:
            return as_json(400, {"message": f"no identity for {request.path}"})
        token = {"access_token": self.token, "expires_on": str(int(time.time()) + _LASTS_SECONDS)}
        return as_json(200, token | {"token_type": "Bearer", "resource": asked["resource"][0]})
