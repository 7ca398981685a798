"""What a service of documents may do to a store, and what must come of it: nothing lost, nothing twice, and in time.

Subclass ``Faults`` and give ``opened``, which opens a store with other settings, and ``broken``, which lets the next
requests of the service fail: ``broken(kind, fault, times)``, of ``read``, ``write`` or ``take``, that is ``throttled``,
``away``, ``lost``, ``expired`` or ``hangs``; and ``between(action)``, which does something once, when the next write
has come to the service and is not yet done.
``take`` is a write that takes a row away; an answer that is ``lost`` is one of a request that was done.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from loopline.platform_core.contracts.online_store import OnlineRow, OnlineStore
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.online_store import events, view_rows
from tests.resources.nosql.apart import held_apart

Opened = Callable[..., Any]
Broken = Callable[..., None]
Between = Callable[[Callable[[], object]], None]
FEW = view_rows([1, 2, 3], [10, 20, 30], spend=[1.0, 2.0, 3.0])


class Faults:
    """One test a fault, and one of a place set apart."""

    def test_a_place_set_apart_is_gone_with_its_rows(self, opened: Opened) -> None:
        """As `loopline conformance` needs one in an account of others."""
        held_apart(opened())

    @pytest.mark.parametrize("fault", ["throttled", "away", "lost"])
    def test_a_write_that_fails_for_now_is_made_once(self, opened: Opened, broken: Broken, fault: str) -> None:
        """Each row is there, and counted once, though the first tries failed, or were done and not heard of."""
        store = opened()
        store.write("v", "customer_id", view_rows([2], [5], spend=[0.0]))
        broken("write", fault, 2)
        assert store.write("v", "customer_id", FEW) == 3
        assert events(store, "v", ["1", "2", "3"]) == {"1": 10, "2": 20, "3": 30}

    def test_a_taking_back_that_was_not_heard_of_is_counted_once(self, opened: Opened, broken: Broken) -> None:
        """A row that went is not looked for again, and an older one in its place stays."""
        store = opened()
        store.write("v", "customer_id", FEW)
        broken("take", "lost", 1)
        rows, void = view_rows([1], [5], spend=[9.0]), view_rows([1, 2], [10, 20])
        assert store.replace("v", "customer_id", rows, void) == 2
        assert store.read([("v", ["1", "2", "3"])]) == [[OnlineRow(5, (9.0,)), None, OnlineRow(30, (3.0,))]]

    @pytest.mark.parametrize("fault", ["throttled", "away"])
    def test_a_read_that_fails_for_now_is_made_again(self, opened: Opened, broken: Broken, fault: str) -> None:
        """There is time, so the answer comes."""
        store = opened(timeout_seconds=20)
        store.write("v", "customer_id", FEW)
        broken("read", fault, 2)
        assert events(store, "v", ["1", "2"]) == {"1": 10, "2": 20}

    def test_a_service_that_stays_too_busy_is_given_up(self, opened: Opened, broken: Broken) -> None:
        """A write ends when it got nowhere for its patience, and says what is the matter; meanwhile it went slower."""
        store = opened(patience_seconds=0.6)
        store.write("v", "customer_id", view_rows([9], [1], spend=[1.0]))
        broken("write", "throttled", 10**6)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="slower"):
            store.write("v", "customer_id", FEW)
        assert time.monotonic() - begun < 10
        assert store._pace.rows_per_second is not None

    def test_a_read_of_a_service_that_hangs_ends_in_time(self, opened: Opened, broken: Broken) -> None:
        """It costs the time-out, and the next one is answered."""
        store = opened(timeout_seconds=0.5)
        store.write("v", "customer_id", FEW)
        store.read([("v", ["1"])])
        broken("read", "hangs", 1)
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.read([("v", ["1"])])
        assert 0.3 < time.monotonic() - begun < 10
        assert _in_the_end(store, "1") == 10

    def test_a_write_whose_request_hangs_is_made_again(self, opened: Opened, broken: Broken) -> None:
        """The request ends in time, and the next one does it."""
        store = opened(write_seconds=1.0)
        store.write("v", "customer_id", view_rows([9], [1], spend=[1.0]))
        broken("write", "hangs", 1)
        assert store.write("v", "customer_id", FEW) == 3
        assert events(store, "v", ["1", "2", "3"]) == {"1": 10, "2": 20, "3": 30}

    def test_the_event_loop_goes_on_while_the_service_hangs(self, opened: Opened, broken: Broken) -> None:
        """Others are served meanwhile; who asked is told in time."""
        store = opened(timeout_seconds=1.0)
        store.write("v", "customer_id", FEW)
        store.read([("v", ["1"])])
        broken("read", "hangs", 1)

        async def ask_and_count() -> int:
            fetch, ticks = asyncio.ensure_future(store.fetch([("v", ["1"])])), 0
            while not fetch.done():
                await asyncio.sleep(0.01)  # a beat
                ticks += 1
            with pytest.raises(StoreUnavailable):
                fetch.result()
            return ticks

        assert asyncio.run(ask_and_count()) >= 10

    def test_credentials_that_have_expired_are_said_at_once(self, opened: Opened, broken: Broken) -> None:
        """It is worth another try, but not ours: who reads is told what to do, and when it is done the store works."""
        store = opened(timeout_seconds=20, patience_seconds=20)
        store.write("v", "customer_id", FEW)
        for kind, ask in (("read", lambda: events(store, "v", ["1"])), ("write", lambda: _written(store))):
            broken(kind, "expired", 1)
            with pytest.raises(StoreUnavailable, match=r"log in anew|assign|grant") as caught:
                ask()
            assert caught.value.delay_seconds == 30
        assert events(store, "v", ["1"]) == {"1": 10}

    @pytest.mark.parametrize("held", [0, 1])
    def test_a_row_that_changed_meanwhile_is_not_overwritten(self, opened: Opened, between: Between, held: int) -> None:
        """Between look and write somebody was faster, with a newer event: it stays, and nothing of ours is counted."""
        store, other = opened(), opened()
        other.read([])
        if held:
            store.write("v", "customer_id", view_rows([1], [5], spend=[5.0]))
        between(lambda: other.write("v", "customer_id", view_rows([1], [20], spend=[20.0])))
        assert store.write("v", "customer_id", view_rows([1], [10], spend=[10.0])) == 0
        assert store.read([("v", ["1"])]) == [[OnlineRow(20, (20.0,))]]

    def test_a_row_that_changed_meanwhile_is_not_taken_back(self, opened: Opened, between: Between) -> None:
        """What was void is no more; what came in its place is newer than that, and stays."""
        store, other = opened(), opened()
        other.read([])
        store.write("v", "customer_id", view_rows([1], [5], spend=[5.0]))
        between(lambda: other.write("v", "customer_id", view_rows([1], [20], spend=[20.0])))
        assert store.replace("v", "customer_id", FEW.slice(0, 0), view_rows([1], [10])) == 0
        assert store.read([("v", ["1"])]) == [[OnlineRow(20, (20.0,))]]

    def test_writers_at_once_lose_nothing_over_faults(self, opened: Opened, broken: Broken) -> None:
        """Three writers of the same events, each in an order of its own, leave the newest, whatever fails meanwhile."""
        every = [(key, time_us) for key in range(8) for time_us in range(9)]
        failed: list[BaseException] = []

        def write(seed: int, store: OnlineStore) -> None:
            mine = random.Random(seed).sample(every, len(every))
            try:
                for first in range(0, len(mine), 12):
                    keys, times = zip(*mine[first : first + 12], strict=True)
                    store.write("v", "customer_id", view_rows(list(keys), list(times), spend=[float(t) for t in times]))
            except BaseException as error:  # noqa: BLE001 - shown below
                failed.append(error)

        stores = [opened() for _ in range(3)]
        for store in stores:
            store.read([])
        for fault in ("throttled", "lost", "away"):
            broken("write", fault, 2)
        writers = [threading.Thread(target=write, args=each) for each in enumerate(stores)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert failed == []
        keys = [str(key) for key in range(8)]
        assert stores[0].read([("v", keys)]) == [[OnlineRow(8, (8.0,))] * 8]


def _written(store: OnlineStore) -> int:
    return store.write("v", "customer_id", FEW)


def _in_the_end(store: OnlineStore, key: str) -> int | None:
    """Read with some tries: the machine may be as slow as the time-out is short."""
    for _ in range(20):
        try:
            return events(store, "v", [key])[key]
        except StoreUnavailable:
            time.sleep(0.1)  # between two tries of a machine that is slow
    raise AssertionError("no answer")
