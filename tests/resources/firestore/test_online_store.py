"""Firestore keeps the online store's promises: on a strict fake of its server, by Google's own client."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import StatusCode as Code

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import Keep, OnlineRow
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.firestore.documents import Place
from loopline.resources.firestore.online_store import FirestoreOnlineStore
from loopline.resources.nosql.conditional_writes import Change
from tests.emulators.firestore_fake import FirestoreFake
from tests.emulators.google_fake import Fault
from tests.emulators.metadata_server import metadata_server
from tests.emulators.process import NODE_MODULES, Emulator, node
from tests.resources.nosql.faults import Faults


@pytest.fixture
def fake() -> Iterator[FirestoreFake]:
    """Run a server of this test's own."""
    server = FirestoreFake()
    yield server
    server.stop()


@pytest.fixture
def store(fake: FirestoreFake) -> Iterator[FirestoreOnlineStore]:
    """Open a store."""
    store = FirestoreOnlineStore(project="kit", endpoint=fake.endpoint, timeout_seconds=30)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(fake: FirestoreFake) -> Iterator[FirestoreOnlineStore]:
    """Open it again."""
    store = FirestoreOnlineStore(project="kit", endpoint=fake.endpoint, timeout_seconds=30)
    yield store
    store.close()


class TestFirestoreOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "strict fake"


@pytest.fixture
def opened(fake: FirestoreFake) -> Iterator[Callable[..., FirestoreOnlineStore]]:
    """Give a function that opens a store with other settings."""
    stores: list[FirestoreOnlineStore] = []

    def opened(**settings: Any) -> FirestoreOnlineStore:
        given = {"project": "kit", "endpoint": fake.endpoint, "timeout_seconds": 30, **settings}
        stores.append(FirestoreOnlineStore(**given))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def broken(fake: FirestoreFake) -> Callable[..., None]:
    """Give a function that lets requests fail."""
    codes = {"throttled": Code.RESOURCE_EXHAUSTED, "away": Code.UNAVAILABLE, "lost": Code.UNAVAILABLE, "hangs": None}
    codes["expired"] = Code.UNAUTHENTICATED

    def broken(kind: str, fault: str, times: int) -> None:
        method = "BatchGetDocuments" if kind == "read" else "BatchWrite"
        fake.faults.append(Fault(method, codes[fault], after=fault == "lost", times=times))

    return broken


@pytest.fixture
def between(fake: FirestoreFake) -> Callable[[Callable[[], object]], None]:
    """Give a function that lets something happen before the next write is done."""
    return fake.between.append


class TestFaults(Faults):
    """Every fault, between Google's client and the fake."""


def test_writes_that_are_refused_one_by_one_are_made_in_the_end(
    fake: FirestoreFake, store: FirestoreOnlineStore
) -> None:
    """Of a request with a thousand rows some are throttled: they are tried again, and no other one is written twice."""
    many = list(range(1000))
    fake.faults.append(Fault("BatchWrite", Code.RESOURCE_EXHAUSTED, of_each=30, times=3))
    assert store.write("v", "customer_id", view_rows(many, [1] * 1000, spend=[1.0] * 1000)) == 1000
    assert sum(count for method, count in fake.calls if method == "BatchWrite") == 1000 + 3 * 30
    assert len(fake.stored) == 1000


@pytest.mark.parametrize("key", ["", ".", "..", "__id__", "a/b", "Ærø", "_2f", "/", "a" * 1497, "\ud800"])
def test_any_key_is_a_name(store: FirestoreOnlineStore, key: str) -> None:
    """What the service takes for no name is spelled otherwise, and the view's too."""
    place = Place("projects/kit/databases/(default)/documents", "loopline", f"../{key[:10]}")
    change = Change(key, pack(OnlineRow(1, (1.0,))), None, None)
    assert DocumentsOf(store, place).change([change]) == [True]
    assert list(DocumentsOf(store, place).look([key, key + "a"]).rows) == [key]


def DocumentsOf(store: FirestoreOnlineStore, place: Place) -> Any:  # noqa: N802
    """Reach the rows of a view below the contract: an Arrow table takes no lone surrogate."""
    return store._opened()[0].rows(place.view)


def test_what_does_not_fit_is_refused_before_it_is_sent(fake: FirestoreFake, store: FirestoreOnlineStore) -> None:
    """A key or a row that is too large is a broken contract with a number; asking for such a key finds nothing."""
    with pytest.raises(ContractBroken, match="at most 1497"):
        store.write("v", "customer_id", view_rows(["a" * 1498], [1], spend=[1.0]))
    with pytest.raises(ContractBroken, match="1 MiB"):
        store.write("v", "customer_id", view_rows([1], [1], text=["x" * 1_048_500]))
    assert store.read([("v", ["a" * 1498])]) == [[None]]
    assert "BatchWrite" not in [method for method, _ in fake.calls]


def test_requests_stay_below_ten_mebibytes(fake: FirestoreFake, store: FirestoreOnlineStore) -> None:
    """Large rows go in several requests."""
    rows = view_rows(list(range(15)), [1] * 15, text=["x" * 1_000_000] * 15)
    assert store.write("v", "customer_id", rows) == 15
    assert [count for method, count in fake.calls if method == "BatchWrite"] == [8, 7]


def test_the_service_deletes_what_has_expired(fake: FirestoreFake, store: FirestoreOnlineStore) -> None:
    """``expires_at`` is when the row is too old by the platform's clock; a row without ``keep`` has none."""
    then = datetime(2011, 3, 1, tzinfo=UTC)
    event_us = int((then - timedelta(hours=1)).timestamp()) * 1_000_000
    store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]), Keep(0.5, then))
    store.write("v", "customer_id", view_rows([2], [event_us], spend=[1.0]))
    store.write("v", "customer_id", view_rows([3], [event_us], spend=[1.0]), Keep(1 / 24 + 1e-9, then))
    first, second, third = (fake.stored[_name(store, key)] for key in "123")
    left = first.fields["expires_at"].timestamp_value.ToMicroseconds() / 1e6 - time.time()
    assert left == pytest.approx(11 * 3600, abs=60)
    assert set(second.fields) == {"row"}
    assert bytes(third.fields["row"].bytes_value) == pack(OnlineRow(event_us, (1.0,)))
    time.sleep(0.01)  # until the row is too old by the clock
    assert events(store, "v", list("123")) == {"1": event_us, "2": event_us, "3": None}
    assert (fake.sweep(), len(fake.stored)) == (1, 2)


def _name(store: FirestoreOnlineStore, key: str) -> str:
    return str(store._opened()[0].name("v", key))


def test_a_document_lies_where_the_docs_say(fake: FirestoreFake, store: FirestoreOnlineStore, monkeypatch: Any) -> None:
    """Google's other client, which teams use, finds it by its path."""
    from google.cloud import firestore

    store.write("team.v.v1", "customer_id", view_rows([7], [-5], spend=[1.5], country=["Ærø"]))
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", fake.endpoint.removeprefix("http://"))
    client = firestore.Client(project="kit")
    view = client.collection("loopline").document("team.v.v1").collection("loopline_rows")
    assert view.document("82-7").get().to_dict() == {"row": pack(OnlineRow(-5, (1.5, "Ærø")))}
    client.close()


def test_drop_takes_every_document_of_a_view(fake: FirestoreFake, store: FirestoreOnlineStore) -> None:
    """More than one request deletes, over a fault; a view whose name begins the same stays."""
    many = list(range(1100))
    store.write("v", "customer_id", view_rows(many, [1] * 1100, spend=[1.0] * 1100))
    store.write("v2", "customer_id", view_rows([1], [1], spend=[1.0]))
    fake.faults += [Fault("RunQuery", Code.UNAVAILABLE), Fault("BatchWrite", Code.RESOURCE_EXHAUSTED, of_each=9)]
    store.drop("v")
    left = list(fake.stored)
    assert len(left) == 1
    assert "/v2/" in left[0]


def test_what_is_asked_in_one_turn_travels_together(fake: FirestoreFake, store: FirestoreOnlineStore) -> None:
    """Fifty requests of one turn of the event loop are one request, each document in it once."""
    store.write("v", "customer_id", view_rows(list(range(10)), list(range(10)), spend=[1.0] * 10))
    fake.calls.clear()

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(store.fetch([("v", [str(n % 10), "none"])]) for n in range(50)))

    found = asyncio.run(all_at_once())
    assert [answer[0][0].event_time_us for answer in found] == [n % 10 for n in range(50)]
    assert fake.calls == [("BatchGetDocuments", 11)]


def test_a_corrupt_document_is_the_trouble_of_who_asked_for_it(
    fake: FirestoreFake, store: FirestoreOnlineStore
) -> None:
    """It is named, with a fix; who asked for another one in the same turn is answered."""
    store.write("v", "customer_id", view_rows([1, 2], [1, 2], spend=[1.0, 2.0]))
    fake.stored[_name(store, "1")].fields["row"].bytes_value = b"hello"

    async def both() -> list[Any]:
        asks = (store.fetch([("v", [key])]) for key in "12")
        return await asyncio.gather(*asks, return_exceptions=True)

    wrong, right = asyncio.run(both())
    assert isinstance(wrong, ContractBroken)
    assert "refill" in wrong.fix
    assert right == [[OnlineRow(2, (2.0,))]]


def test_a_database_that_is_not_there_and_rights_that_are_missing(fake: FirestoreFake, opened: Any) -> None:
    """The one is permanent, the other may be given; both say what to do."""
    with pytest.raises(InvalidEnvironment, match="databases create --database=other"):
        opened(database="other").read([("v", ["1"])])
    fake.rights = False
    with pytest.raises(StoreUnavailable, match=r"roles/datastore\.user"):
        opened().write("v", "customer_id", view_rows([1], [1], spend=[1.0]))


KEYLESS = """
import sys
from loopline.platform_core.testing.online_store import events, view_rows
from loopline.resources.firestore.online_store import FirestoreOnlineStore
store = FirestoreOnlineStore(endpoint=sys.argv[1], timeout_seconds=60, write_seconds=60)
assert store.write("v", "customer_id", view_rows([1], [7], spend=[1.0])) == 1
print(events(store, "v", ["1"]), repr(store))
"""


def test_the_identity_of_the_workload_is_enough(tmp_path: Path) -> None:
    """Over TLS, with a token of the metadata server, as on GKE: no key, no project, nothing but a host."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    own = authority.issue_cert("localhost")
    chain = b"".join(each.bytes() for each in own.cert_chain_pems)
    fake = FirestoreFake(credentials=grpc.ssl_server_credentials([(own.private_key_pem.bytes(), chain)]), token="good")
    with metadata_server("kit", "good") as host:
        given = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "FIRESTORE_"))}
        given |= {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": str(tmp_path)}
        given |= {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "authority.pem"), "HOME": str(tmp_path)}
        command = [sys.executable, "-c", KEYLESS, f"localhost:{fake.port}"]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=200)
    fake.stop()
    assert done.returncode == 0, done.stderr
    assert "{'1': 7}" in done.stdout
    assert "good" not in done.stdout


@pytest.mark.parametrize("used_before", [False, True])
def test_a_forked_process_has_a_connection_of_its_own(opened: Any, used_before: bool) -> None:
    """A run that was forked off a code server, where gRPC is at work already, opens the store for itself."""
    store = opened()
    if used_before:
        _reads(store)
    child = multiprocessing.get_context("fork").Process(target=_reads, args=(store,))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def _reads(store: FirestoreOnlineStore) -> None:
    assert store.read([("v", ["1"])]) == [[None]]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the emulator that comes by npm, for what it tells truly: reading and the wire."""
    port = free_port()
    script = Path(__file__).parents[2] / "emulators" / "firestore.mjs"
    begun = tmp_path_factory.mktemp("firestore") / script.name
    begun.symlink_to(script)
    (begun.parent / "node_modules").symlink_to(NODE_MODULES)
    command = [node(), "--preserve-symlinks", "--preserve-symlinks-main", str(begun), str(port)]
    server = Emulator(command, begun.parent)
    server.start(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
    yield f"127.0.0.1:{port}"
    server.end()


def test_another_server_answers_reads_as_the_fake_does(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that Google's other client wrote to the npm emulator are read; it has no BatchWrite to write by."""
    from google.cloud import firestore

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    store = FirestoreOnlineStore(project="kit", timeout_seconds=30, write_seconds=30, patience_seconds=1)
    client = firestore.Client(project="kit")
    now, rows = datetime.now(UTC), [OnlineRow(time_us, (1.5, "Ærø")) for time_us in range(3)]
    ends = [None, now + timedelta(hours=1), now - timedelta(seconds=1)]
    for key, row, end in zip("123", rows, ends, strict=True):
        fields = {"row": pack(row)} | ({} if end is None else {"expires_at": end})
        client.document(_name(store, key).partition("/documents/")[2]).set(fields)
    assert store.read([("v", ["3", "2", "1", "0", "1"])]) == [[None, rows[1], rows[0], None, rows[0]]]
    client.close()
    store.close()
