"""In-memory anchor store."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.anchors import Anchors


class InMemoryAnchors(Anchors):
    """Keeps what was put in ``kept``."""

    kept: dict[str, bytes] = Field(default_factory=dict)
    _writing: Any = PrivateAttr(default_factory=threading.Lock)

    def create(self, name: str, content: bytes) -> bool:
        """Keep it if there is none."""
        with self._writing:
            return self.kept.setdefault(name, content) is content

    def content(self, name: str) -> bytes | None:
        """Look it up."""
        return self.kept.get(name)

    def names(self, tenant: str) -> list[str]:
        """List a tenant's."""
        return sorted(name for name in self.kept if name.startswith(f"{tenant}/"))
