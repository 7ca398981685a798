"""Bigtable keeps the online store's promises: on a strict fake of its server, by Google's own client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode as Code

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import Keep, OnlineRow
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.resources.bigtable.cells import LASTING_US, row_key
from loopline.resources.bigtable.online_store import BigtableOnlineStore
from tests.emulators.bigtable_fake import BigtableFake
from tests.emulators.google_fake import Fault
from tests.resources.nosql.faults import FEW, Faults


@pytest.fixture
def fake() -> Iterator[BigtableFake]:
    """Run a server of this test's own."""
    server = BigtableFake()
    yield server
    server.stop()


@pytest.fixture
def opened(fake: BigtableFake) -> Iterator[Callable[..., BigtableOnlineStore]]:
    """Give a function that opens a store, with other settings if need be."""
    stores: list[BigtableOnlineStore] = []

    def opened(**settings: Any) -> BigtableOnlineStore:
        given = {"project": "kit", "instance": "kit-rows", "endpoint": fake.endpoint, "timeout_seconds": 30, **settings}
        stores.append(BigtableOnlineStore(**given))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()
        store.close()


@pytest.fixture
def store(opened: Callable[..., BigtableOnlineStore]) -> BigtableOnlineStore:
    """Open a store."""
    return opened()


@pytest.fixture
def opened_anew(opened: Callable[..., BigtableOnlineStore]) -> BigtableOnlineStore:
    """Open it again."""
    return opened()


class TestBigtableOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "strict fake"


@pytest.fixture
def broken(fake: BigtableFake) -> Callable[..., None]:
    """Give a function that lets requests fail."""
    codes = {"throttled": Code.RESOURCE_EXHAUSTED, "away": Code.UNAVAILABLE, "lost": Code.UNAVAILABLE, "hangs": None}
    codes["expired"] = Code.UNAUTHENTICATED

    def broken(kind: str, fault: str, times: int) -> None:
        method = "ReadRows" if kind == "read" else "CheckAndMutateRow"
        only = _takes if kind == "take" else lambda _: True
        fake.faults.append(Fault(method, codes[fault], after=fault == "lost", times=times, only=only))

    return broken


def _takes(request: Any) -> bool:
    return len(request.true_mutations) == 1


@pytest.fixture
def between(fake: BigtableFake) -> Callable[[Callable[[], object]], None]:
    """Give a function that lets something happen before the next write is done."""
    return fake.between.append


class TestFaults(Faults):
    """Every fault, between Google's client and the fake."""


def _name(key: str, view: str = "v") -> bytes:
    return str(row_key(view, key)).encode()


def _cell(fake: BigtableFake, key: str) -> tuple[int, bytes]:
    """Return a row's only cell: its timestamp (µs) and its value."""
    [values] = fake.stored[_name(key)].values()
    [cell] = values.items()
    return cell


def test_rows_that_are_throttled_one_by_one_are_written_in_the_end(
    fake: BigtableFake, store: BigtableOnlineStore
) -> None:
    """Of a hundred rows some are refused: they are tried again, and no other one is written twice."""
    many = list(range(100))
    store.write("v", "customer_id", view_rows([1000], [1], spend=[1.0]))
    fake.calls.clear()
    fake.faults.append(Fault("CheckAndMutateRow", Code.RESOURCE_EXHAUSTED, times=30))
    assert store.write("v", "customer_id", view_rows(many, [1] * 100, spend=[1.0] * 100)) == 100
    assert len(fake.stored) == 101
    assert [method for method, _ in fake.calls].count("CheckAndMutateRow") == 100


def test_a_service_that_is_away_is_not_asked_for_every_row(fake: BigtableFake, opened: Any) -> None:
    """When one request found nobody, those behind it in the round are not sent: a write ends in time."""
    store = opened(patience_seconds=0.2)
    store.write("v", "customer_id", view_rows([1000], [1], spend=[1.0]))
    fault = Fault("CheckAndMutateRow", Code.UNAVAILABLE, times=10**6)
    fake.faults.append(fault)
    many = list(range(500))
    with pytest.raises(StoreUnavailable, match="a fault of the tests"):
        store.write("v", "customer_id", view_rows(many, [1] * 500, spend=[1.0] * 500))
    assert 10**6 - fault.times < 400


def test_what_does_not_fit_is_refused_before_it_is_sent(fake: BigtableFake, store: BigtableOnlineStore) -> None:
    """A key or a row that is too large is a broken contract with a number; asking for such a key finds nothing."""
    with pytest.raises(ContractBroken, match="at most 4092"):
        store.write("v", "customer_id", view_rows(["1", "a" * 4092], [1, 1], spend=[1.0, 1.0]))
    with pytest.raises(ContractBroken, match="10000000 at most"):
        store.write("v", "customer_id", view_rows([1, 2], [1, 1], text=["x", "x" * 10_000_000]))
    assert store.read([("v", ["a" * 4092])]) == [[None]]
    assert fake.calls == []
    longest = "a" * 4091
    assert store.write("v", "customer_id", view_rows([longest], [1], spend=[1.0])) == 1
    assert events(store, "v", [longest]) == {longest: 1}


def test_keys_of_any_signs_and_rows_in_pieces(fake: BigtableFake, store: BigtableOnlineStore) -> None:
    """No two keys are one, a view is no other's beginning, and a row that comes in pieces, or anew, is whole."""
    fake.begins_anew = True
    keys = ["", ".", "#", "a/b", "Ærø", "_2f", "/", "v#", "\x00"]
    store.write("v", "customer_id", view_rows(keys, list(range(9)), text=[key * 60_000 for key in keys]))
    store.write("v#", "customer_id", view_rows([""], [77], text=["other"]))
    [found] = store.read([("v", keys)])
    assert [(row.event_time_us, row.values[0]) for row in found if row] == [(n, k * 60_000) for n, k in enumerate(keys)]


def test_the_service_deletes_what_has_expired(fake: BigtableFake, store: BigtableOnlineStore) -> None:
    """A cell's timestamp is when the row is too old by the platform's clock; without ``keep`` that is never."""
    then = datetime(2011, 3, 1, tzinfo=UTC)
    event_us = int((then - timedelta(hours=1)).timestamp()) * 1_000_000
    store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]), Keep(0.5, then))
    store.write("v", "customer_id", view_rows([2], [event_us], spend=[1.0]))
    store.write("v", "customer_id", view_rows([3], [event_us], spend=[1.0]), Keep(1 / 24 + 1e-9, then))
    assert _cell(fake, "1")[0] / 1e6 - time.time() == pytest.approx(11 * 3600, abs=60)
    assert _cell(fake, "2")[0] == LASTING_US
    assert _cell(fake, "3")[1] == pack(OnlineRow(event_us, (1.0,)))
    time.sleep(0.01)  # until the row is too old by the clock
    assert events(store, "v", list("123")) == {"1": event_us, "2": event_us, "3": None}
    assert (fake.sweep(), len(fake.stored)) == (1, 2)
    # what has expired and lies there still is written over by an older event
    store.write("v", "customer_id", view_rows([4], [event_us], spend=[1.0]), Keep(1 / 24 + 1e-9, then))
    time.sleep(0.01)  # until the row is too old by the clock
    assert store.write("v", "customer_id", view_rows([4], [5], spend=[1.0])) == 1
    assert events(store, "v", ["4"]) == {"4": 5}


def test_drop_takes_every_row_of_a_view(fake: BigtableFake, store: BigtableOnlineStore) -> None:
    """More than one request deletes, over rows that are refused; a view whose name begins the same stays."""
    for view, rows in (("v", 700), ("v.v2", 1), ("v-", 1)):
        for number in range(rows):
            fake.stored[_name(str(number), view)] = {("rows", b"0" * 32): {LASTING_US: pack(OnlineRow(1, (1.0,)))}}
    fake.faults.append(Fault("MutateRows", Code.UNAVAILABLE, of_each=30))
    store.drop("v")
    assert {name.partition(b"#")[0] for name in fake.stored} == {b"v.v2", b"v-"}
    assert [count for method, count in fake.calls if method == "MutateRows"][:1] == [500]


def test_asks_of_one_turn_travel_together(fake: BigtableFake, store: BigtableOnlineStore) -> None:
    """Fifty requests at once are one to the service, of each row once; a thousand keys are two."""
    store.write("v", "customer_id", view_rows(list(range(10)), list(range(10)), spend=[1.0] * 10))
    fake.calls.clear()

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(store.fetch([("v", [str(n % 10), "none"])]) for n in range(50)))

    found = asyncio.run(all_at_once())
    assert [answer[0][0].event_time_us for answer in found] == [n % 10 for n in range(50)]
    assert fake.calls == [("ReadRows", 11)]
    fake.calls.clear()
    store.read([("v", [str(n) for n in range(1000)])])
    assert fake.calls == [("ReadRows", 500)] * 2


@pytest.mark.parametrize("cells", [{("rows", b"a.*"): {0: b""}}, {("rows", b"0" * 32): {0: b"", 1000: b""}}])
def test_what_somebody_else_wrote_there_is_told(fake: BigtableFake, store: BigtableOnlineStore, cells: Any) -> None:
    """A row with another column, or several cells, is a broken contract with its name and a fix."""
    fake.stored[_name("1")] = cells
    for ask in (lambda: store.read([("v", ["1"])]), lambda: store.write("v", "customer_id", FEW)):
        with pytest.raises(ContractBroken, match="v#") as caught:
            ask()
        assert "refill" in caught.value.fix


def test_what_is_not_there_or_not_allowed_says_what_to_do(fake: BigtableFake, opened: Any) -> None:
    """No table, no family, a profile of several clusters, not known, no rights: each with its command or its role."""
    with pytest.raises(InvalidEnvironment, match=r"createtable other families=rows:maxage"):
        opened(table="other").read([("v", ["1"])])
    with pytest.raises(InvalidEnvironment, match="families=others"):
        opened(family="others").write("v", "customer_id", FEW)
    with pytest.raises(InvalidEnvironment, match="single cluster"):
        opened(app_profile="many").write("v", "customer_id", FEW)
    fake.token = "another's"
    with pytest.raises(StoreUnavailable, match="invalid authentication"):
        opened().read([("v", ["1"])])
    fake.token, fake.rights = None, False
    with pytest.raises(StoreUnavailable, match=r"roles/bigtable\.user"):
        opened().write("v", "customer_id", FEW)


def test_google_s_variable_names_an_emulator(fake: BigtableFake, monkeypatch: pytest.MonkeyPatch) -> None:
    """``BIGTABLE_EMULATOR_HOST`` is heard where no endpoint is set."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", fake.endpoint.removeprefix("http://"))
    store = BigtableOnlineStore(project="kit", instance="kit-rows", timeout_seconds=30)
    assert store.write("v", "customer_id", FEW) == 3
    store.close()
