"""What tests of tables share: how sources and statements are made, and what arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopline.resources.postgres.event_source import PostgresEventSource

Make = Callable[..., PostgresEventSource]
Run = Callable[..., Any]


def taken(events: PostgresEventSource, source: str = "shop/orders", column: str = "id") -> list[str | None]:
    """Return a column of all that arrived, page by page."""
    found = events.arrivals(source)
    return [value for arrival in found for value in events.read(source, arrival)[column].to_pylist()]
