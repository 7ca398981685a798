"""Conformance kit of online stores.

Subclass ``OnlineStoreKit`` and give two fixtures: ``store``, and ``opened_anew``, a second instance on the same data
as another process would make it. The store may hold views of other tests.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.contracts.online_store import Keep, OnlineRow, OnlineStore
from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    import pyarrow as pa


def view_rows(keys: Sequence[Any], times_us: Sequence[int], **features: Sequence[Any]) -> pa.Table:
    """Make rows of a view with the entity ``customer_id``; event times are µs since 1970."""
    import pyarrow as pa

    times = pa.array(times_us, pa.timestamp("us", "UTC"))
    return pa.table({"customer_id": keys, "event_time": times, **features})


def new_view() -> str:
    """Name a view that no test has used."""
    return f"kit.{uuid.uuid4().hex}.v1"


def events(store: OnlineStore, view: str, keys: Sequence[str]) -> Mapping[str, int | None]:
    """Read which event each key holds."""
    found = store.read([(view, keys)])[0]
    return {key: row.event_time_us if row else None for key, row in zip(keys, found, strict=True)}


class OnlineStoreKit:
    """One test a promise.

    ``many`` rows are more than any request of the store holds; where its emulator is slow a vendor lowers it.
    """

    many: ClassVar[int] = 2500

    def test_1_rows_come_in_the_order_asked(self, store: OnlineStore) -> None:
        """Keys are answered in the order asked, the same key twice if so; unknown keys and views are None."""
        view = new_view()
        store.write(view, "customer_id", view_rows([1, 2, 3], [10, 20, 30], spend=[1.0, 2.0, 3.0]))
        asked = store.read([(view, ["3", "7", "1", "3"]), (new_view(), ["1"]), (view, [])])
        three, one = OnlineRow(30, (3.0,)), OnlineRow(10, (1.0,))
        assert asked == [[three, None, one, three], [None], []]
        assert store.read([]) == []

    def test_2_a_write_is_seen_at_once(self, store: OnlineStore, opened_anew: OnlineStore) -> None:
        """The next read sees a write: here, and where the store was opened before and after it."""
        view = new_view()
        assert events(opened_anew, view, ["1"]) == {"1": None}
        assert store.write(view, "customer_id", view_rows([1], [10], spend=[1.0])) == 1
        assert events(store, view, ["1"]) == {"1": 10}
        assert events(opened_anew, view, ["1"]) == {"1": 10}

    def test_1_a_key_is_compared_whole(self, store: OnlineStore) -> None:
        """A NUL in a key ends nothing: nobody is answered with the features of somebody else."""
        view = new_view()
        keys = ["alice", "bob\0x", "\0", "carol\x01", "dave\x010", ""]
        store.write(view, "customer_id", view_rows(keys, [*range(1, 7)], spend=[1.0] * 6))
        unknown = ["alice\0mallory", "bob", "bob\0", "carol", "dave\0", "\0\0"]
        assert events(store, view, keys) == dict(zip(keys, range(1, 7), strict=True))
        assert set(events(store, view, unknown).values()) == {None}

    def test_3_an_older_event_never_wins(self, store: OnlineStore) -> None:
        """Older events are passed over, within one call too; of equal events the later written stays."""
        view = new_view()
        store.write(view, "customer_id", view_rows([1, 2], [20, 20], spend=[2.0, 2.0]))
        held = store.write(
            view, "customer_id", view_rows([1, 2, 3, 3, 3], [10, 20, 9, 7, 9], spend=[1.0, 9.0, 3.0, 4.0, 5.0])
        )
        assert store.read([(view, ["1", "2", "3"])]) == [
            [OnlineRow(20, (2.0,)), OnlineRow(20, (9.0,)), OnlineRow(9, (5.0,))]
        ]
        assert held == 2

    def test_4_values_keep_their_type(self, store: OnlineStore) -> None:
        """Whole numbers, numbers, text, truth values, nulls and vectors come back as they are, in order."""
        view = new_view()
        columns: dict[str, list[Any]] = {
            "whole": [2**53 + 1],
            "number": [3.0],
            "text": ["Ærø"],
            "truth": [True],
            "nothing": [None],
            "vector": [[0.5, -1.0, 3.0]],
        }
        store.write(view, "customer_id", view_rows(["a b"], [1], **columns))
        row = store.read([(view, ["a b"])])[0][0]
        assert row is not None
        assert row.values == (2**53 + 1, 3.0, "Ærø", True, None, [0.5, -1.0, 3.0])
        assert [type(value) for value in row.values] == [int, float, str, bool, type(None), list]

    def test_4_what_is_too_large_is_refused_whole(self, store: OnlineStore) -> None:
        """A large value and a long key come back as they are, or are refused, and then nothing of the call is there."""
        for key, text in (("large", "x" * 1_000_000), ("k" * 5_000, "x")):
            view = new_view()
            try:
                store.write(view, "customer_id", view_rows(["small", key], [1, 1], words=["y", text]))
            except ContractBroken:
                assert events(store, view, ["small"]) == {"small": None}
            else:
                small, large = OnlineRow(1, ("y",)), OnlineRow(1, (text,))
                assert store.read([(view, ["small", key])]) == [[small, large]]

    def test_5_several_views_in_one_call(self, store: OnlineStore) -> None:
        """Each view is answered for its own keys, also when many keys and the same key are asked of several."""
        one, other = new_view(), new_view()
        many = list(range(self.many))
        store.write(one, "customer_id", view_rows(many, [1] * self.many, spend=[float(n) for n in many]))
        store.write(other, "customer_id", view_rows([7], [2], spend=[-1.0]))
        found = store.read([(one, [str(n) for n in many]), (other, ["7", "8"]), (one, ["7"])])
        assert [row.values[0] if row else None for row in found[0]] == [float(n) for n in many]
        assert found[1:] == [[OnlineRow(2, (-1.0,)), None], [OnlineRow(1, (7.0,))]]

    def test_6_writers_at_once_leave_the_newest(self, store: OnlineStore, opened_anew: OnlineStore) -> None:
        """Two writers that go through the same keys in opposite order leave each key's newest event."""
        view, keys = new_view(), [str(n) for n in range(20)]
        together = threading.Barrier(2, timeout=30)

        def write(to: OnlineStore, times: Sequence[int]) -> None:
            for event in times:
                together.wait()
                to.write(view, "customer_id", view_rows(keys, [event] * 20, spend=[float(event)] * 20))

        writers = [
            threading.Thread(target=write, args=(store, range(0, 40, 2))),
            threading.Thread(target=write, args=(opened_anew, range(39, 0, -2))),
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert store.read([(view, keys)]) == [[OnlineRow(39, (39.0,))] * 20]

    def test_7_drop_forgets_one_view(self, store: OnlineStore) -> None:
        """A dropped view answers None and may be written anew, with older events; another view stays."""
        one, other = new_view(), new_view()
        for view in (one, other):
            store.write(view, "customer_id", view_rows([1], [10], spend=[1.0]))
        store.drop(one)
        store.drop(new_view())
        assert (events(store, one, ["1"]), events(store, other, ["1"])) == ({"1": None}, {"1": 10})
        store.write(one, "customer_id", view_rows([1], [5], spend=[1.0]))
        assert events(store, one, ["1"]) == {"1": 5}

    def test_8_with_keep_rows_go_when_they_are_too_old(self, store: OnlineStore) -> None:
        """What is too old is not kept and counts for nothing; what was kept goes, by the next write at the latest."""
        view, begun = new_view(), datetime.now(UTC)
        life = timedelta(seconds=1.5)
        keep = Keep(life / timedelta(days=1), begun)
        ages_us = (0, -1_500_000, 1_499_000, 1_501_000, 10**9)
        times = [_micros(begun) - age for age in ages_us]
        held = store.write(view, "customer_id", view_rows([1, 2, 3, 4, 5], times, spend=[1.0] * 5), keep)
        kept = {key for key, event in events(store, view, ["1", "2", "4", "5"]).items() if event is not None}
        assert (held, kept) == (3, {"1", "2"})
        time.sleep(1.6)
        later = begun + timedelta(seconds=1.6)
        store.write(view, "customer_id", view_rows([6], [_micros(later)], spend=[1.0]), keep._replace(now=later))
        left = {key for key, event in events(store, view, list("12346")).items() if event is not None}
        assert left == {"2", "6"}

    def test_8_a_newer_event_is_kept_longer(self, store: OnlineStore) -> None:
        """A row written again lives as long as its own event allows; without ``keep`` it stays."""
        view, begun = new_view(), datetime.now(UTC)
        keep = Keep(timedelta(seconds=1.5) / timedelta(days=1), begun)
        for age_us in (300_000, -900_000):
            store.write(view, "customer_id", view_rows([1, 2], [_micros(begun) - age_us] * 2, spend=[1.0] * 2), keep)
        store.write(view, "customer_id", view_rows([2], [_micros(begun) + 900_000], spend=[2.0]))
        time.sleep(1.65)
        assert None not in events(store, view, ["1", "2"]).values()

    def test_9_fetch_answers_as_read_does(self, store: OnlineStore) -> None:
        """Many at once get each their own rows, in their order; one that is given up harms nobody."""
        one, other, keys = new_view(), new_view(), [str(n) for n in range(40)]
        store.write(one, "customer_id", view_rows(keys, list(range(40)), spend=[float(n) for n in range(40)]))
        store.write(other, "customer_id", view_rows(keys[::2], list(range(20)), spend=[-1.0] * 20))
        asks = [[(one, [key, "unknown"]), (other, [key])] for key in keys]

        async def fetch_all() -> list[list[list[OnlineRow | None]]]:
            fetches = [asyncio.ensure_future(store.fetch(ask)) for ask in [*asks, *asks, []]]
            await asyncio.sleep(0)
            fetches.pop(0).cancel()
            return await asyncio.gather(*fetches)

        for _ in range(2):  # a second event loop gets answers too
            wanted = [store.read(ask) for ask in [*asks[1:], *asks, []]]
            assert asyncio.run(fetch_all()) == wanted
        assert wanted[0] == [[OnlineRow(1, (1.0,)), None], [None]]

    def test_10_what_is_void_makes_room(self, store: OnlineStore, opened_anew: OnlineStore) -> None:
        """An older row takes the place of a void one, nothing takes it where there is none, and what is newer stays."""
        view = new_view()
        store.write(view, "customer_id", view_rows(list("abcde"), [20, 20, 20, 20, 20], spend=[2.0] * 5))
        rows = view_rows(["a", "c", "e", "f"], [10, 10, 30, 5], spend=[1.0, 1.0, 3.0, 4.0])
        void = view_rows(["a", "b", "c", "d", "e", "f", "g"], [20, 20, 15, 15, 25, 9, 9])
        assert store.replace(view, "customer_id", rows, void) == 4
        found = opened_anew.read([(view, list("abcdefg"))])[0]
        kept, one = OnlineRow(20, (2.0,)), OnlineRow(10, (1.0,))
        assert found == [one, None, kept, kept, OnlineRow(30, (3.0,)), OnlineRow(5, (4.0,)), None]

    def test_10_what_is_too_old_takes_no_place(self, store: OnlineStore) -> None:
        """With ``keep`` a row that is too old is as good as none: the void one goes all the same."""
        view, now = new_view(), datetime.now(UTC)
        keep, then = Keep(1.0, now), _micros(now)
        store.write(view, "customer_id", view_rows(["a", "b"], [then, then], spend=[2.0, 2.0]), keep)
        old, young = then - 2 * 86_400_000_000, then - 3_600_000_000
        rows = view_rows(["a", "b"], [old, young], spend=[1.0, 1.0])
        assert store.replace(view, "customer_id", rows, view_rows(["a", "b"], [then, then]), keep) == 2
        assert store.read([(view, ["a", "b"])]) == [[None, OnlineRow(young, (1.0,))]]

    def test_11_what_is_erased_is_gone_however_new(self, store: OnlineStore, opened_anew: OnlineStore) -> None:
        """A key's row goes from one view, events to come too; others stay, and a row written later is there again."""
        one, other, far = new_view(), new_view(), 4_000_000_000_000_000
        for view in (one, other):
            store.write(view, "customer_id", view_rows(["a", "b", "c"], [10, far, 10], spend=[1.0, 2.0, 3.0]))
        store.erase(one, "customer_id", ["a", "b", "nobody"])
        store.erase(one, "customer_id", ["a"])
        for side in (store, opened_anew):
            assert events(side, one, ["a", "b", "c"]) == {"a": None, "b": None, "c": 10}
            assert events(side, other, ["a", "b", "c"]) == {"a": 10, "b": far, "c": 10}
        store.write(one, "customer_id", view_rows(["a"], [5], spend=[4.0]))
        assert events(opened_anew, one, ["a"]) == {"a": 5}


def _micros(instant: datetime) -> int:
    return round(instant.timestamp() * 1e6)
