"""Vendors whose state outlives one call of the command line within a test's process."""

from __future__ import annotations

from typing import Any

from pydantic import PrivateAttr

from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving_vendors import ImagedServing

STATE: dict[str, Any] = {}
"""Emptied by the fixture before each test."""


def kept(name: str, make: Any = dict) -> Any:
    """Return a private attribute that every instance shares."""
    return PrivateAttr(default_factory=lambda: STATE.setdefault(name, make()))


class KeptRegistry(InMemoryRegistry):
    """Versions that are still there when the next command opens the registry."""

    _versions: dict = kept("versions")
    _aliases: dict = kept("aliases")
    _folder: Any = PrivateAttr(default_factory=lambda: STATE.get("folder"))

    def close(self) -> None:
        """Keep the packages."""


class KeptServing(ImagedServing):
    """States that are still there when the next command opens the endpoint."""

    _images: dict = kept("images")
    _states: dict = kept("states")
    _asked: dict = kept("asked")
    _seen: dict = kept("seen")
    _log: dict = kept("log")
