"""The online store's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow, newest
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.mutants import assert_catches
from loopline.platform_core.testing.online_store import OnlineStoreKit, new_view

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


class EndsAtNul(InMemoryOnlineStore):
    """Breaks promise 1: a key is what stands before its first NUL."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        return super().read([(view, [key.split("\0")[0] for key in keys]) for view, keys in asks])


class KeepsToItself(InMemoryOnlineStore):
    """Breaks promise 2: another instance does not see the write."""

    @property
    def held(self) -> dict[tuple[str, Key], OnlineRow]:
        """Return its own rows."""
        return self._own


class LastWriteWins(InMemoryOnlineStore):
    """Breaks promise 3: what is written last stays, however old."""

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the wrong row."""
        self.drop(view)
        return super().write(view, entity, rows, keep)


class FirstOfEqualsWins(InMemoryOnlineStore):
    """Breaks promise 3: a correction of the same event is passed over."""

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep the wrong row."""
        before = dict(self.held)
        won = super().write(view, entity, rows, keep)
        self.held.update({k: r for k, r in before.items() if self.held[k].event_time_us == r.event_time_us})
        return won


class NumbersOnly(InMemoryOnlineStore):
    """Breaks promise 4: whole numbers come back as numbers."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""

        def plain(row: OnlineRow | None) -> OnlineRow | None:
            return row and OnlineRow(row.event_time_us, tuple(_number(value) for value in row.values))

        return [[plain(row) for row in rows] for rows in super().read(asks)]


class VectorsAsText(InMemoryOnlineStore):
    """Breaks promise 4: a vector comes back as it is written."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""

        def plain(row: OnlineRow | None) -> OnlineRow | None:
            return row and OnlineRow(
                row.event_time_us, tuple(str(value) if isinstance(value, list) else value for value in row.values)
            )

        return [[plain(row) for row in rows] for rows in super().read(asks)]


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


class CutsLargeValues(InMemoryOnlineStore):
    """Breaks promise 4: of a long text the end is lost."""

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer with the first 400,000 characters."""
        return [[_cut(row) for row in rows] for rows in super().read(asks)]


class RefusesWhenHalfIsWritten(InMemoryOnlineStore):
    """Breaks promise 4: a key that is too long is refused, and the rows before it are there."""

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Write row by row."""
        for at in range(len(rows)):
            if len(str(rows[entity][at].as_py())) > 2_000:
                raise ContractBroken("a key has more than 2,000 characters", "give shorter keys")
            super().write(view, entity, rows.slice(at, 1), keep)
        return len(rows)


def _cut(row: OnlineRow | None) -> OnlineRow | None:
    cut = row and tuple(value[:400_000] if isinstance(value, str) else value for value in row.values)
    return row and OnlineRow(row.event_time_us, cut or ())


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

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
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


class KeepsForEver(InMemoryOnlineStore):
    """Breaks promise 8: nothing is ever too old."""

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep what is too old."""
        return super().write(view, entity, rows)


class LetsOldRowsLie(InMemoryOnlineStore):
    """Breaks promise 8: a row that became too old stays."""

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Keep what became too old."""
        before = dict(self.held)
        won = super().write(view, entity, rows, keep)
        self.held.update({place: row for place, row in before.items() if place not in self.held})
        return won


class KeepsTheFirstExpiry(InMemoryOnlineStore):
    """Breaks promise 8: a row written again goes half a second after the first event of its key."""

    _first: dict[tuple[str, Key], OnlineRow] = PrivateAttr(default_factory=dict)

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Remember the first event."""
        for key, row in newest(entity, rows).items():
            self._first.setdefault((view, key), row)
        return super().write(view, entity, rows, keep)

    def read(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        oldest_us = time.time() * 1e6 - 500_000
        gone = {place for place, row in self._first.items() if row.event_time_us < oldest_us}
        return super().read([(view, ["" if (view, key) in gone else key for key in keys]) for view, keys in asks])


class FetchesTheFirstAskOnly(InMemoryOnlineStore):
    """Breaks promise 9: ``fetch`` answers one view."""

    async def fetch(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        return self.read(asks[:1])


class MixesAsksUp(InMemoryOnlineStore):
    """Breaks promise 9: of those who ask at once, each is given what the one before asked."""

    _before: list[list[OnlineRow | None]] = PrivateAttr(default_factory=list)

    async def fetch(self, asks: Asks) -> list[list[OnlineRow | None]]:
        """Answer wrongly."""
        found, self._before = self._before, self.read(asks)
        return found


class NeverTakesBack(InMemoryOnlineStore):
    """Breaks promise 10: what is void stays, for its event is newer."""

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Write only."""
        return self.write(view, entity, rows, keep)


class TakesBackWhatIsNewer(InMemoryOnlineStore):
    """Breaks promise 10: a row that nobody called void goes as well."""

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Forget whatever is there."""
        for key in void[entity].to_pylist():
            self.held.pop((view, str(key)), None)
        return super().replace(view, entity, rows, void, keep)


class PutsBackWhatIsTooOld(InMemoryOnlineStore):
    """Breaks promise 10: a row takes its place however old it is."""

    def replace(self, view: str, entity: str, rows: pa.Table, void: pa.Table, keep: Keep | None = None) -> int:
        """Keep for ever."""
        return super().replace(view, entity, rows, void)


class ErasesThePast(InMemoryOnlineStore):
    """Breaks promise 11: what lies ahead stays."""

    def erase(self, view: str, entity: str, keys: Sequence[str]) -> None:
        """Forget what has happened by now."""
        for key in keys:
            if (held := self.held.get((view, key))) is not None and held.event_time_us < 2_000_000_000_000_000:
                del self.held[view, key]


class ErasesEverywhere(InMemoryOnlineStore):
    """Breaks promise 11: other views lose the key too."""

    def erase(self, view: str, entity: str, keys: Sequence[str]) -> None:
        """Forget the key in every view."""
        for place in [place for place in self.held if place[1] in keys]:
            del self.held[place]


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (AnswersInItsOwnOrder, "test_1_rows_come_in_the_order_asked"),
        (ForgetsUnknownKeys, "test_1_rows_come_in_the_order_asked"),
        (EndsAtNul, "test_1_a_key_is_compared_whole"),
        (KeepsToItself, "test_2_a_write_is_seen_at_once"),
        (LastWriteWins, "test_3_an_older_event_never_wins"),
        (FirstOfEqualsWins, "test_3_an_older_event_never_wins"),
        (NumbersOnly, "test_4_values_keep_their_type"),
        (VectorsAsText, "test_4_values_keep_their_type"),
        (CutsLargeValues, "test_4_what_is_too_large_is_refused_whole"),
        (RefusesWhenHalfIsWritten, "test_4_what_is_too_large_is_refused_whole"),
        (MixesViews, "test_5_several_views_in_one_call"),
        (CutsLongAsks, "test_5_several_views_in_one_call"),
        (RemembersItsOwnWritesOnly, "test_6_writers_at_once_leave_the_newest"),
        (DropsEverything, "test_7_drop_forgets_one_view"),
        (NeverDrops, "test_7_drop_forgets_one_view"),
        (KeepsForEver, "test_8_with_keep_rows_go_when_they_are_too_old"),
        (LetsOldRowsLie, "test_8_with_keep_rows_go_when_they_are_too_old"),
        (KeepsTheFirstExpiry, "test_8_a_newer_event_is_kept_longer"),
        (FetchesTheFirstAskOnly, "test_9_fetch_answers_as_read_does"),
        (MixesAsksUp, "test_9_fetch_answers_as_read_does"),
        (NeverTakesBack, "test_10_what_is_void_makes_room"),
        (TakesBackWhatIsNewer, "test_10_what_is_void_makes_room"),
        (PutsBackWhatIsTooOld, "test_10_what_is_too_old_takes_no_place"),
        (ErasesThePast, "test_11_what_is_erased_is_gone_however_new"),
        (ErasesEverywhere, "test_11_what_is_erased_is_gone_however_new"),
    ],
)
def test_kit_catches(mutant: Callable[..., InMemoryOnlineStore], promise: str) -> None:
    """A store that breaks one promise fails that promise's test."""
    fixtures = {"store": mutant(name=new_view())}
    if promise.startswith(("test_2", "test_6", "test_10_what_is_void", "test_11")):
        fixtures["opened_anew"] = mutant(name=fixtures["store"].name)
    assert_catches(OnlineStoreKit, promise, **fixtures)
