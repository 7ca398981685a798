"""Test delivery of objects, for the event source kit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from loopline.platform_core.testing.event_source import Delivery
from loopline.resources.object_store.objects import Objects


class ObjectDelivery(Delivery):
    """Writes objects with the file's time beside each, and drafts under names that say so."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.objects = Objects(url, options)

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Write an object; each is there whole or not at all."""
        self.put(f"{source}/{name}.csv", content, mtime=f"{arrived_at.timestamp():.9f}")

    def put(self, key: str, content: bytes, **beside: str) -> None:
        """Write any object."""
        self.objects.write(key, content, beside or None)

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Write drafts: begun in parts, an object would leave parts behind that are paid for."""
        for draft in (f"{name}.csv.tmp", f".{name}.csv", f"_temporary/0/{name}.csv"):
            self.put(f"{source}/{draft}", content)

    def holds(self, source: str, name: str) -> bool:
        """Look for the object."""
        return self.objects.has(f"{source}/{name}.csv")
