"""The online store's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from platform_core.contracts.online_store import Key, OnlineRow, newest
from platform_core.testing.fakes.online_store import InMemoryOnlineStore
from platform_core.testing.mutants import assert_catches
from platform_core.testing.online_store import OnlineStoreKit, new_view

Asks = Sequence[tuple[str, Sequence[Key]]]


class TestInMemoryOnlineStore(OnlineStoreKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def store(self) -> InMemoryOnlineStore:
        """Make an empty store."""
        return InMemoryOnlineStore(name="kit")

    @pytest.fixture
    def opened_anew(self) -> InMemoryOnlineStore:
        """Open the same store again."""
        return InMemoryOnlineStore(name="kit")


class AnswersInItsOwnOrder(InMemoryOnlineStore):
    """Breaks promise 1: rows come sorted by key."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        return super().read([(view, sorted(keys)) for view, keys in asks])


class ForgetsUnknownKeys(InMemoryOnlineStore):
    """Breaks promise 1: unknown keys are left out of the answer."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        return [[row for row in rows if row] for rows in super().read(asks)]


class KeepsToItself(InMemoryOnlineStore):
    """Breaks promise 2: another instance does not see the write."""

    @property
    def held(self) -> dict[tuple[str, Key], OnlineRow]:
        """Return its own rows."""
        return self._own


class LastWriteWins(InMemoryOnlineStore):
    """Breaks promise 3: what is written last stays, however old."""

    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Keep the wrong row."""
        self.drop(view)
        return super().write(view, entity, rows)


class FirstOfEqualsWins(InMemoryOnlineStore):
    """Breaks promise 3: a correction of the same event is passed over."""

    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Keep the wrong row."""
        before = dict(self.held)
        won = super().write(view, entity, rows)
        self.held.update({k: r for k, r in before.items() if self.held[k].event_time_us == r.event_time_us})
        return won


class NumbersOnly(InMemoryOnlineStore):
    """Breaks promise 4: whole numbers come back as numbers."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""

        def plain(row: OnlineRow | None) -> OnlineRow | None:
            return row and OnlineRow(row.event_time_us, tuple(_number(value) for value in row.values))

        return [[plain(row) for row in rows] for rows in super().read(asks)]


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


class MixesViews(InMemoryOnlineStore):
    """Breaks promise 5: every ask is answered from the first view."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        return super().read([(asks[0][0], keys) for _, keys in asks])


class CutsLongAsks(InMemoryOnlineStore):
    """Breaks promise 5: keys after the thousandth are not looked up."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        found = super().read(asks)
        return [[row if i < 1000 else None for i, row in enumerate(rows)] for rows in found]


class RemembersItsOwnWritesOnly(InMemoryOnlineStore):
    """Breaks promise 6: each writer decides by what it wrote itself."""

    def write(self, view: str, entity: str, rows: pa.Table) -> int:
        """Keep the wrong row."""
        for key, row in newest(entity, rows).items():
            own = self._own.setdefault((view, key), row)
            if own.event_time_us <= row.event_time_us:
                self._own[view, key] = self.held[view, key] = row
        return rows.num_rows


class DropsEverything(InMemoryOnlineStore):
    """Breaks promise 7: dropping one view empties the store."""

    def drop(self, view: str) -> None:
        """Forget the wrong rows."""
        self.held.clear()


class NeverDrops(InMemoryOnlineStore):
    """Breaks promise 7: a dropped view still answers."""

    def drop(self, view: str) -> None:
        """Forget nothing."""


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (AnswersInItsOwnOrder, "test_1_rows_come_in_the_order_asked"),
        (ForgetsUnknownKeys, "test_1_rows_come_in_the_order_asked"),
        (KeepsToItself, "test_2_a_write_is_seen_at_once"),
        (LastWriteWins, "test_3_an_older_event_never_wins"),
        (FirstOfEqualsWins, "test_3_an_older_event_never_wins"),
        (NumbersOnly, "test_4_values_keep_their_type"),
        (MixesViews, "test_5_several_views_in_one_call"),
        (CutsLongAsks, "test_5_several_views_in_one_call"),
        (RemembersItsOwnWritesOnly, "test_6_writers_at_once_leave_the_newest"),
        (DropsEverything, "test_7_drop_forgets_one_view"),
        (NeverDrops, "test_7_drop_forgets_one_view"),
    ],
)
def test_kit_catches(mutant: Callable[..., InMemoryOnlineStore], promise: str) -> None:
    """A store that breaks one promise fails that promise's test."""
    fixtures = {"store": mutant(name=new_view())}
    if promise.startswith(("test_2", "test_6")):
        fixtures["opened_anew"] = mutant(name=fixtures["store"].name)
    assert_catches(OnlineStoreKit, promise, **fixtures)
