"""Caller: the authenticated person or service that a request is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.identity.names import OWN

SCOPE = "loopline.caller"
"""Where an ASGI scope holds its caller; what is below the sign-in finds it there."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person, or a service with ``service``; ``groups`` are what the provider says, ``issuer`` who said so.

    ``session`` is the session by which it came, "" for a token that stands for itself.
    """

    name: str
    groups: frozenset[str] = frozenset()
    service: bool = False
    issuer: str = ""
    session: str = ""

    @property
    def is_platform(self) -> bool:
        """Say whether it is a program of the platform's own, which makes itself a session in the ledger's database."""
        return self.service and self.name == OWN and not self.issuer


def caller_of(scope: Mapping[str, Any]) -> Caller | None:
    """Return who a request is from; None where this server asks nobody to sign in."""
    found = scope.get(SCOPE)
    return found if isinstance(found, Caller) else None
