"""The online store's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.online_store import Key, OnlineRow, newest
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.online_store import OnlineStoreKit, new_view
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs


class TestInMemoryOnlineStore(OnlineStoreKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def store(self) -> InMemoryOnlineStore:
        return InMemoryOnlineStore(name="kit")

    @pytest.fixture
    def opened_anew(self) -> InMemoryOnlineStore:
        return InMemoryOnlineStore(name="kit")


class KeepsToItself(InMemoryOnlineStore):
    """Breaks promise 2: another instance does not see the write."""

    @property
    def held(self) -> dict[tuple[str, Key], OnlineRow]:
        return self._own


def each_value(change: Callable[[Any], Any]) -> dict[str, Any]:
    """Make a store that changes each value that it gives."""

    def changed(row: OnlineRow | None) -> OnlineRow | None:
        return row and OnlineRow(row.event_time_us, tuple(map(change, row.values)))

    return {"read": lambda up, _, asks: [[changed(row) for row in rows] for rows in up.read(asks)]}


class RefusesWhenHalfIsWritten(InMemoryOnlineStore):
    """Breaks promise 4: a key that is too long is refused, and the rows before it are there."""

    def write(self, view, entity, rows, keep=None):
        for at in range(len(rows)):
            if len(str(rows[entity][at].as_py())) > 2_000:
                raise ContractBroken("a key has more than 2,000 characters", "give shorter keys")
            super().write(view, entity, rows.slice(at, 1), keep)
        return len(rows)


class RemembersItsOwnWritesOnly(InMemoryOnlineStore):
    """Breaks promise 6: each writer decides by what it wrote itself."""

    def write(self, view, entity, rows, keep=None):
        for key, row in newest(entity, rows).items():
            own = self._own.setdefault((view, key), row)
            if own.event_time_us <= row.event_time_us:
                self._own[view, key] = self.held[view, key] = row
        return rows.num_rows


class KeepsTheFirstExpiry(InMemoryOnlineStore):
    """Breaks promise 8: a row written again goes half a second after the first event of its key."""

    _first: dict[tuple[str, Key], OnlineRow] = PrivateAttr(default_factory=dict)

    def write(self, view, entity, rows, keep=None):
        for key, row in newest(entity, rows).items():
            self._first.setdefault((view, key), row)
        return super().write(view, entity, rows, keep)

    def read(self, asks):
        oldest_us = time.time() * 1e6 - 500_000
        gone = {place for place, row in self._first.items() if row.event_time_us < oldest_us}
        return super().read([(view, ["" if (view, key) in gone else key for key in keys]) for view, keys in asks])


class MixesAsksUp(InMemoryOnlineStore):
    """Breaks promise 9: of those who ask at once, each is given what the one before asked."""

    _before: list[list[OnlineRow | None]] = PrivateAttr(default_factory=list)

    async def fetch(self, asks):
        found, self._before = self._before, self.read(asks)
        return found


class TakesBackWhatIsNewer(InMemoryOnlineStore):
    """Breaks promise 10: a row that nobody called void goes as well."""

    def replace(self, view, entity, rows, void, keep=None):
        for key in void[entity].to_pylist():
            self.held.pop((view, str(key)), None)
        return super().replace(view, entity, rows, void, keep)


class ErasesThePast(InMemoryOnlineStore):
    """Breaks promise 11: what lies ahead stays."""

    def erase(self, view, entity, keys):
        for key in keys:
            if (held := self.held.get((view, key))) is not None and held.event_time_us < 2_000_000_000_000_000:
                del self.held[view, key]


def with_those_of_before(stays: Callable[[OnlineRow, Any], bool]) -> dict[str, Any]:
    """Make a store in which a row of before may stay when others are written, by itself and by what is there now."""

    def write(up: Any, own: InMemoryOnlineStore, *given: Any) -> int:
        before = dict(own.held)
        won = up.write(*given)
        own.held.update({place: row for place, row in before.items() if stays(row, own.held.get(place))})
        return won

    return {"write": write}


def forget(store: InMemoryOnlineStore, places: list[tuple[str, Key]]) -> None:
    """Take rows away."""
    for place in places:
        del store.held[place]


made = partial(mutant, InMemoryOnlineStore)
CAUGHT = {
    "test_1_rows_come_in_the_order_asked": [
        # rows come sorted by key
        made("AnswersInItsOwnOrder", read=lambda up, _, asks: up.read([(view, sorted(keys)) for view, keys in asks])),
        # unknown keys are left out of the answer
        made("ForgetsUnknownKeys", read=lambda up, _, asks: [[row for row in rows if row] for rows in up.read(asks)]),
    ],
    "test_1_a_key_is_compared_whole": [
        # a key is what stands before its first NUL
        made(
            "EndsAtNul",
            read=lambda up, _, asks: up.read([(view, [k.split("\0")[0] for k in keys]) for view, keys in asks]),
        ),
    ],
    "test_2_a_write_is_seen_at_once": [KeepsToItself],
    "test_3_an_older_event_never_wins": [
        # what is written last stays, however old
        made("LastWriteWins", write=lambda up, own, view, *given: own.drop(view) or up.write(view, *given)),
        # a correction of the same event is passed over
        made("FirstOfEqualsWins", **with_those_of_before(lambda row, now: now.event_time_us == row.event_time_us)),
    ],
    "test_4_values_keep_their_type": [
        # whole numbers come back as numbers
        made("NumbersOnly", **each_value(lambda value: float(value) if isinstance(value, int) else value)),
        # a vector comes back as it is written
        made("VectorsAsText", **each_value(lambda value: str(value) if isinstance(value, list) else value)),
    ],
    "test_4_what_is_too_large_is_refused_whole": [
        # of a long text the end is lost
        made("CutsLargeValues", **each_value(lambda value: value[:400_000] if isinstance(value, str) else value)),
        RefusesWhenHalfIsWritten,
    ],
    "test_5_several_views_in_one_call": [
        # every ask is answered from the first view
        made("MixesViews", read=lambda up, _, asks: up.read([(asks[0][0], keys) for _, keys in asks])),
        # keys after the thousandth are not looked up
        made(
            "CutsLongAsks",
            read=lambda up, _, asks: [[*rows[:1000], *[None] * len(rows[1000:])] for rows in up.read(asks)],
        ),
    ],
    "test_6_writers_at_once_leave_the_newest": [RemembersItsOwnWritesOnly],
    "test_7_drop_forgets_one_view": [
        # dropping one view empties the store
        made("DropsEverything", drop=lambda _, store, _view: store.held.clear()),
        # a dropped view still answers
        made("NeverDrops", drop=lambda *_: None),
    ],
    "test_8_with_keep_rows_go_when_they_are_too_old": [
        # nothing is ever too old
        made("KeepsForEver", write=lambda up, _, view, entity, rows, keep=None: up.write(view, entity, rows)),
        # a row that became too old stays
        made("LetsOldRowsLie", **with_those_of_before(lambda _row, now: now is None)),
    ],
    "test_8_a_newer_event_is_kept_longer": [KeepsTheFirstExpiry],
    "test_9_fetch_answers_as_read_does": [
        # ``fetch`` answers one view
        made("FetchesTheFirstAskOnly", fetch=lambda up, _, asks: up.fetch(asks[:1])),
        MixesAsksUp,
    ],
    "test_10_what_is_void_makes_room": [
        # what is void stays, for its event is newer
        made(
            "NeverTakesBack",
            replace=lambda _, store, view, entity, rows, _void, keep=None: store.write(view, entity, rows, keep),
        ),
        TakesBackWhatIsNewer,
    ],
    "test_10_what_is_too_old_takes_no_place": [
        # a row takes its place however old it is
        made(
            "PutsBackWhatIsTooOld",
            replace=lambda up, _, view, entity, rows, void, keep=None: up.replace(view, entity, rows, void),
        ),
    ],
    "test_11_what_is_erased_is_gone_however_new": [
        ErasesThePast,
        # other views lose the key too
        made(
            "ErasesEverywhere",
            erase=lambda _up, own, _view, _, keys: forget(own, [p for p in own.held if p[1] in keys]),
        ),
    ],
}


@pytest.mark.parametrize(("mutant", "promise"), pairs(CAUGHT))
def test_kit_catches(mutant: Callable[..., InMemoryOnlineStore], promise: str) -> None:
    """A store that breaks one promise fails that promise's test."""
    fixtures = {"store": mutant(name=new_view())}
    if promise.startswith(("test_2", "test_6", "test_10_what_is_void", "test_11")):
        fixtures["opened_anew"] = mutant(name=fixtures["store"].name)
    assert_catches(OnlineStoreKit, promise, **fixtures)
