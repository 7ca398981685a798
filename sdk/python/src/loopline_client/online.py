"""The answer to a request for online features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    import pyarrow as pa

Key = int | str
Value = float | int | str | bool | list[float] | None
Status = Literal["present", "missing", "stale"]


@dataclass(frozen=True)
class ViewStates:
    """What is behind a view's values, one entry a row: status, and event time (UTC; None: missing)."""

    status: Sequence[Status]
    event_time: Sequence[datetime | None]


@dataclass(frozen=True)
class OnlineFeatures:
    """Values and states, both with one entry a row, in the order of the keys that were sent; ``raw`` as they came."""

    raw: bytes

    @cached_property
    def at(self) -> datetime:
        """Return the instant against which the TTL was held (UTC)."""
        return datetime.fromisoformat(self._data["at"])

    @cached_property
    def entities(self) -> Mapping[str, Sequence[Key]]:
        """Return keys by entity, as they were sent."""
        entities: Mapping[str, Sequence[Key]] = self._data["entities"]
        return entities

    @cached_property
    def features(self) -> Mapping[str, Sequence[Value]]:
        """Return values by feature (``view:feature``); None where the value is null, missing or stale."""
        features: Mapping[str, Sequence[Value]] = self._data["features"]
        return features

    @cached_property
    def views(self) -> Mapping[str, ViewStates]:
        """Return states by view."""
        return {name: _states(**states) for name, states in self._data["views"].items()}

    def __len__(self) -> int:
        """Return the number of rows."""
        return max(map(len, self.entities.values()), default=0)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return columns: entities, then features."""
        return {name: list(column) for name, column in (self.entities | self.features).items()}  # type: ignore[operator]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary a row: entities, then features."""
        columns = self.to_dict()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table: entities, then features; needs pyarrow."""
        import pyarrow as pa

        return pa.table(self.to_dict())

    def encode(self) -> bytes:
        """Write the answer again: the bytes are those of ``raw``."""
        return orjson.dumps(self._data)

    @cached_property
    def _data(self) -> dict[str, Any]:
        data: dict[str, Any] = orjson.loads(self.raw)
        return data


def _states(status: Sequence[Status], event_time: Sequence[str | None]) -> ViewStates:
    return ViewStates(status, [None if time is None else datetime.fromisoformat(time) for time in event_time])
