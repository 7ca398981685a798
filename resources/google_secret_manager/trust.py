"""HTTP session that trusts a given certificate authority only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter


class _Trusting(HTTPAdapter):
    """A way to servers whose certificates are of one authority."""

    def __init__(self, authority: Path) -> None:
        self._authority = str(authority)
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **how: Any) -> Response:
        """Send: a session's own setting would give way to REQUESTS_CA_BUNDLE."""
        return super().send(request, *args, **how | {"verify": self._authority})


def trust(session: Session, authority: Path) -> None:
    """Let a session go to servers whose certificates are of an authority, and to no others."""
    session.mount("https://", _Trusting(authority))
