"""Contract of online stores: the newest feature values of each entity, read at request time."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.foundation.clock import micros
from loopline.platform_core.foundation.names import EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

Key = str
"""An entity's key as text: ``str(int)`` for whole numbers."""
_LATEST_US = 253_402_300_799_999_999
"""The last instant of the year 9999: no event is newer."""
Value = float | int | str | bool | list[float] | None


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
        return micros(self.now - timedelta(days=self.ttl_days))


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


def replacing(
    entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None
) -> Iterator[tuple[Key, OnlineRow | None, int]]:
    """Read what ``replace`` is asked as a store does it: each key, its row if it has one, and up to when to replace.

    A stored row is replaced, or goes, if its event time (µs) is not after the last of these.
    """
    oldest_us = None if keep is None else keep.oldest_us
    fresh = {k: row for k, row in newest(entity, rows).items() if oldest_us is None or row.event_time_us >= oldest_us}
    until = {key: row.event_time_us for key, row in newest(entity, void.select([entity, EVENT_TIME])).items()}
    for key in {**fresh, **until}:
        row = fresh.get(key)
        bounds = [until[key]] if key in until else []
        yield key, row, max(bounds if row is None else [*bounds, row.event_time_us])


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
      4. Values come back with their Python type (whole number, number, text, truth value, vector, null). What is too
         large for the store is refused (``ContractBroken``), and nothing of that call is kept.
      5. Several views are answered in one call, each for its own keys.
      6. Concurrent writers of the same keys leave the newest event.
      7. ``drop`` removes one view and leaves the others.
      8. With ``keep`` a row that is too old is not kept, and a kept row is gone once it is.
      9. ``fetch`` answers as ``read`` does, many at once included.
      10. ``replace`` puts a row in place of any whose event is not after the one that is void, and where there is no
          row leaves none; a row whose event is newer than both stays.
      11. ``erase`` leaves no row of a key in a view, however new, and every other one where it was; what is written
          afterwards is there again.
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

        Raises:
            ContractBroken: a key or a row is larger than the store takes.
        """

    def replace(
        self,
        view: str,
        entity: str,  # noqa: ARG002 - a vendor that can needs them all
        rows: pa.Table,  # noqa: ARG002
        void: pa.Table,  # noqa: ARG002
        keep: Keep | None = None,  # noqa: ARG002
    ) -> int:
        """Let each entity of ``void`` (its column, and ``event_time``) hold its row of ``rows``, or none.

        Events up to the one in ``void`` are no more, so that an older row may take the place of a newer one. ``rows``
        are as ``write`` takes them; rows of other entities are written as there. With ``keep`` a row that is too old
        counts as none.

        Returns:
            How many keys now hold a row of this call, or no longer hold one.

        Raises:
            Unsupported: the vendor cannot.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot take back a row of {view!r}",
            "drop the view online and refill it: 'loopline features refill'",
        )

    def erase(self, view: str, entity: str, keys: Sequence[Key]) -> None:
        """Take every row of some keys out of a view, for good; a key that is not there costs nothing.

        Raises:
            Unsupported: the vendor cannot.
        """
        import pyarrow as pa

        times = pa.repeat(pa.scalar(_LATEST_US, pa.int64()), len(keys)).cast(pa.timestamp("us", "UTC"))
        void = pa.table({entity: pa.array(list(keys), pa.string()), EVENT_TIME: times})
        self.replace(view, entity, void.slice(0, 0), void)

    @abc.abstractmethod
    def drop(self, view: str) -> None:
        """Forget a view."""
