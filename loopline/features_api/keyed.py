"""API key authentication of the feature service, where it has a file of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.features_api.errors import answer
from loopline.gateway.api_keys import Authenticator
from loopline.platform_core.errors import BadRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FEATURES = "features"
"""What stands for the whole service among the models that a tenant may ask."""
OPEN = frozenset({"/health", "/metrics"})
UNKNOWN = 401


class Keyed:
    """Wraps the application; asked before a body is read. A key that is taken back is refused a second later."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self.app, self.authenticator = app, authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 401 (no key that is known) or 403 (not this service)."""
        try:
            if scope["type"] == "http" and scope["path"] not in OPEN:
                self._admit(dict(scope["headers"]))
        except BadRequest as error:
            refusal = answer(error)
            if error.status == UNKNOWN:
                refusal.headers["www-authenticate"] = "Bearer"
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _admit(self, headers: dict[bytes, bytes]) -> None:
        name, tenant = self.authenticator.tenant(headers)
        if not tenant.may_ask(FEATURES):
            raise BadRequest(
                f"tenant {name!r} may not ask for features",
                f"ask whoever runs the service for a key with '--model {FEATURES}'",
                status=403,
            )
