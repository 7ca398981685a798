"""The newest features of each entity, read while a request waits."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

Key = str
"""An entity's key as text: ``str(int)`` for whole numbers."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Value = float | int | str | bool | None


class OnlineRow(msgspec.Struct, frozen=True, gc=False):
    """Values of one entity in the order in which the view's columns were written."""

    event_time_us: int
    values: tuple[Value, ...]


class Keep(NamedTuple):
    """How long rows are kept: until ``ttl_days`` after their event; ``now`` is the platform's clock (UTC)."""

    ttl_days: float
    now: datetime

    @property
    def oldest_us(self) -> int:
        """Return the event time of a row that is exactly as old as it may be; one before it is too old."""
        return (self.now - timedelta(days=self.ttl_days) - _EPOCH) // timedelta(microseconds=1)


def newest(entity: str, rows: pa.Table) -> dict[Key, OnlineRow]:
    """Read a view's rows as a store keeps them: the newest of each key; of equal event times the later row.

    Rows with a null key or event time are left out.

    Raises:
        ContractBroken: a column is missing, ``event_time`` is not UTC, or keys are neither text nor whole numbers.
    """
    features = [name for name in rows.column_names if name not in (entity, EVENT_TIME)]
    _check(entity, rows)
    keys, times = rows[entity].to_pylist(), rows[EVENT_TIME].cast("int64").to_pylist()
    values = zip(*(rows[name].to_pylist() for name in features), strict=True) if features else [()] * len(keys)
    found: dict[Key, OnlineRow] = {}
    for key, time, row in zip(keys, times, values, strict=True):
        if key is None or time is None:
            continue
        held = found.get(str(key))
        if held is None or held.event_time_us <= time:
            found[str(key)] = OnlineRow(time, row)
    return found


def _check(entity: str, rows: pa.Table) -> None:
    types = {field.name: str(field.type) for field in rows.schema}
    if types.get(EVENT_TIME) != "timestamp[us, tz=UTC]":
        problem = f"column {EVENT_TIME!r} is {types.get(EVENT_TIME, 'missing')}"
        raise ContractBroken(problem, "give timestamps in µs with time zone UTC")
    if not types.get(entity, "").startswith(("int", "uint", "string", "large_string")):
        problem = f"key column {entity!r} is {types.get(entity, 'missing')}"
        raise ContractBroken(problem, "give keys as text or whole numbers: their text must be the same everywhere")


class OnlineStore(Vendor):
    """The newest features of each entity, read while a request waits.

    Promises, each with a test in ``loopline.platform_core.testing.online_store``:
      1. ``read`` answers in the order asked; an unknown key or view is None.
      2. A write is seen by the next read in the same process, and by another process that opens the same store.
      3. A write never replaces a row whose event time is newer; equal event time: the later write wins.
      4. Values come back with their Python type (whole number, number, text, truth value, null).
      5. Several views are answered in one call, each for its own keys.
      6. Concurrent writers of the same keys leave the newest event.
      7. ``drop`` removes one view and leaves the others.
      8. With ``keep`` a row that is too old is not kept, and a kept row is gone once it is.
      9. ``fetch`` answers as ``read`` does, many at once included.
    """

    @abc.abstractmethod
    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows for each (view, keys), in one round trip.

        Raises:
            StoreUnavailable: the store did not answer in time.
        """

    async def fetch(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows as ``read`` does, without blocking the event loop where the vendor can; asks may share a trip."""
        return self.read(asks)

    @abc.abstractmethod
    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the newest row of each entity; with ``keep`` no longer than that.

        ``rows`` has the ``entity`` column, ``event_time`` (UTC, µs) and one column a feature; the feature columns
        in their order are the values.

        Returns:
            How many keys now hold a row of this call.
        """

    @abc.abstractmethod
    def drop(self, view: str) -> None:
        """Forget a view."""
