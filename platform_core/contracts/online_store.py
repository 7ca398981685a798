"""The newest features of each entity, read while a request waits."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_core.contracts.base import Vendor

if TYPE_CHECKING:
    import pyarrow as pa

Key = str
"""An entity's key as text: ``str(int)`` for whole numbers."""
Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """Values of one entity in the order in which the view's columns were written."""

    event_time_us: int
    values: tuple[Value, ...]


class OnlineStore(Vendor):
    """The newest features of each entity, read while a request waits.

    Promises, each with a test in ``platform_core.testing.online_store``:
      1. ``read`` answers in the order asked; an unknown key or view is None.
      2. A write is seen by the next read in the same process, and by another process that opens the same store.
      3. A write never replaces a row whose event time is newer; equal event time: the later write wins.
      4. Values come back with their Python type (whole number, number, text, truth value, null).
      5. Several views are answered in one call, each for its own keys.
      6. Concurrent writers of the same keys leave the newest event.
      7. ``drop`` removes one view and leaves the others.
    """

    @abc.abstractmethod
    def read(self, asks: Sequence[tuple[str, Sequence[Key]]]) -> list[list[OnlineRow | None]]:
        """Fetch rows for each (view, keys), in one round trip.

        Raises:
            StoreUnavailable: the store did not answer in time.
        """

    @abc.abstractmethod
    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Keep the newest row of each entity.

        ``rows`` has the ``entity`` column, ``event_time`` (UTC, µs) and one column a feature; the feature columns
        in their order are the values.

        Returns:
            How many keys now hold a row of this call.
        """

    @abc.abstractmethod
    def drop(self, view: str) -> None:
        """Forget a view."""
