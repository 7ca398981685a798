"""Features by name, as an application asks for them: values with states and times, the TTL held against a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.online_reads import data
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.online import OnlineFeatures, read_online
from loopline.platform_core.features.selection import RequestedView
from loopline.platform_core.foundation.names import EVENT_TIME, online_view
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loopline.platform_core.contracts.online_store import OnlineStore

TEAM = "bench"


def written_by(store: OnlineStore, folder: Path, shapes: Sequence[data.Shape]) -> Callable[[], int]:
    """Return what writes every row of the views under their names online."""
    views = [(online_view(TEAM, _spec(shape)), data.rows(folder, shape)) for shape in shapes]
    return lambda: sum(store.write(name, data.ENTITY, rows) for name, rows in views)


def read_by(store: OnlineStore, shapes: Sequence[data.Shape]) -> Callable[[Sequence[str]], OnlineFeatures]:
    """Return what reads all ten features of keys."""
    platform = Platform(Environment("bench", Path(), {"online_store": store}, "", None, Path()))
    asked, now = [_asked(shape) for shape in shapes], datetime.fromtimestamp(data.NEWEST_US / 1e6, UTC)
    return lambda keys: read_online(platform, asked, {data.ENTITY: [int(key) for key in keys]}, now)


def _asked(shape: data.Shape) -> RequestedView:
    names = tuple(f"{shape.view}:{name}" for name in shape.features)
    view, every = _spec(shape), tuple(range(len(names)))
    return RequestedView(view, shape.view, online_view(TEAM, view), len(names), every, names)


def _spec(shape: data.Shape) -> FeatureView:
    return FeatureView(shape.view, Source(shape.view, ""), data.ENTITY, EVENT_TIME, lambda rows: rows, ttl_days=7)
