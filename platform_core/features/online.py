"""Online feature retrieval: the newest values of entities by feature name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import orjson

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.features.selection import RequestedView
from loopline.platform_core.foundation.clock import micros

if TYPE_CHECKING:
    from loopline.platform_core.contracts.online_store import OnlineRow, Value
    from loopline.platform_core.platform import Platform

EntityKey = int | str
Entities = Mapping[str, Sequence[EntityKey]]
"""Keys by entity; position i of every entity is row i."""
Status = Literal["present", "missing", "stale"]
MOST_ROWS = 10_000
_KEY_TYPES = frozenset({int, str})
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class ViewStates:
    """What is behind a view's values, per row: a status, and the event's time (µs since 1970, UTC; None: missing)."""

    status: Sequence[Status]
    event_time_us: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class OnlineFeatures:
    """An answer: values per feature (``view:feature``), states per view, both with one entry a row.

    ``at_us`` is the instant (µs since 1970, UTC) against which the TTL was held. Values of a missing or stale row
    are None.
    """

    at_us: int
    entities: Entities
    features: Mapping[str, Sequence[Value]]
    views: Mapping[str, ViewStates]

    def encode(self) -> bytes:
        """Write it as JSON in the one form that every server and SDK writes; see ``sdk/README.md``."""
        views = {
            name: {"status": states.status, "event_time": as_text(states.event_time_us)}
            for name, states in self.views.items()
        }
        at = as_text([self.at_us])[0]
        return orjson.dumps({"at": at, "entities": self.entities, "features": self.features, "views": views})


def read_online(
    platform: Platform, asked: Sequence[RequestedView], entities: Entities, at: datetime | None = None
) -> OnlineFeatures:
    """Read the newest values of all views in one round trip.

    ``at`` is the instant against which the TTL is held (the platform's clock when None); the online store has the
    newest values only, so for those of an earlier instant ask ``historical``: what happened behind ``at`` is missing.

    Raises:
        BadRequest: a view's entity is missing or holds no keys, a view is not served online, ``at`` has no zone.
        StoreUnavailable: the online store did not answer.
    """
    asks, instant = _asks(asked, entities), _instant(platform, at)
    return _answer(asked, entities, instant, platform.online_store.read(asks) if asks else [])


async def fetch_online(
    platform: Platform, asked: Sequence[RequestedView], entities: Entities, at: datetime | None = None
) -> OnlineFeatures:
    """Read as ``read_online`` does, without blocking the event loop where the online store can."""
    asks, instant = _asks(asked, entities), _instant(platform, at)
    return _answer(asked, entities, instant, await platform.online_store.fetch(asks) if asks else [])


def as_text(instants_us: Sequence[int | None]) -> list[str | None]:
    """Write instants (µs since 1970) as ISO 8601 UTC, always with six digits."""
    import numpy as np  # 10 MB, which a service that nobody asks does without

    known = np.array([instant for instant in instants_us if instant is not None], "datetime64[us]")
    texts = iter(np.datetime_as_string(known).tolist())
    return [None if instant is None else f"{next(texts)}Z" for instant in instants_us]


def _asks(asked: Sequence[RequestedView], entities: Entities) -> list[tuple[str, list[str]]]:
    keys = _keys(entities)
    for each in asked:
        if each.view.served != "online":
            raise BadRequest(
                f"feature view {each.name!r} is not served online: the request to a model brings it",
                "ask for views that are served online",
            )
        if each.view.entity not in keys:
            raise BadRequest(
                f"entity {each.view.entity!r} of feature view {each.name!r} is missing",
                f"send entities with a list of keys under {each.view.entity!r}",
            )
    return [(each.stored, keys[each.view.entity]) for each in asked]


def _keys(entities: Entities) -> dict[str, list[str]]:
    """Turn keys to text, as the store has them."""
    for entity, keys in entities.items():
        if not _KEY_TYPES.issuperset(map(type, keys)):
            raise BadRequest(f"entity {entity!r} holds what is no key", "send whole numbers or text, in every row")
    lengths = {entity: len(keys) for entity, keys in entities.items()}
    if len(set(lengths.values())) > 1:
        raise BadRequest(f"entities differ in length: {lengths}", "send one key a row under every entity")
    if any(length > MOST_ROWS for length in lengths.values()):
        raise BadRequest(f"more than {MOST_ROWS} rows are asked", "ask for fewer at once, or for a training set")
    return {entity: [str(key) for key in keys] for entity, keys in entities.items()}


def _instant(platform: Platform, at: datetime | None) -> int:
    instant = platform.clock.now() if at is None else at
    if instant.tzinfo is None:
        raise BadRequest(f"time {instant.isoformat()} has no time zone", "send it in UTC, such as 2026-01-31T12:00:00Z")
    return micros(instant)


def _answer(
    asked: Sequence[RequestedView], entities: Entities, at_us: int, found: Sequence[Sequence[OnlineRow | None]]
) -> OnlineFeatures:
    features: dict[str, Sequence[Value]] = {}
    views: dict[str, ViewStates] = {}
    for each, rows in zip(asked, found, strict=True):
        views[each.name], columns = _judged(each, rows, at_us)
        features.update((name, columns[position]) for name, position in zip(each.features, each.positions, strict=True))
    return OnlineFeatures(at_us, entities, features, views)


def _judged(
    asked: RequestedView, rows: Sequence[OnlineRow | None], at_us: int
) -> tuple[ViewStates, Sequence[Sequence[Value]]]:
    """Judge rows as the inference server does.

    One of another width is of another definition, and one whose event lies behind ``at_us`` has not happened: neither
    counts.
    """
    width, ttl_days = asked.width, asked.view.ttl_days
    oldest_us = float("-inf") if ttl_days is None else at_us - ttl_days * _DAY_US
    held = [row if row and len(row.values) == width and row.event_time_us <= at_us else None for row in rows]
    times = [None if row is None else row.event_time_us for row in held]
    status: list[Status] = [
        "missing" if time is None else "present" if time >= oldest_us else "stale" for time in times
    ]
    nothing: tuple[Value, ...] = (None,) * width
    values = [
        row.values if row is not None and state == "present" else nothing
        for row, state in zip(held, status, strict=True)
    ]
    return ViewStates(status, times), list(zip(*values, strict=True)) or [()] * width
