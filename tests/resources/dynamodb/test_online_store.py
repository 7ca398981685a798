"""DynamoDB keeps the online store's promises: boto3 against moto's server."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.online_packing import pack_values
from loopline.platform_core.contracts.online_store import Keep, OnlineRow
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, Permanent
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, new_view, view_rows
from loopline.resources.dynamodb.items import MOST_KEY_BYTES, PARTS, Places
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from tests.emulators.aws import REGION, AwsServer
from tests.resources.nosql.apart import held_apart

READER = ["dynamodb:BatchGetItem"]
WRITER = ["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:BatchWriteItem"]
MAKER = ["dynamodb:DescribeTable", "dynamodb:CreateTable", "dynamodb:DescribeTimeToLive", "dynamodb:UpdateTimeToLive"]
"""What a server, a materialization, and whoever makes the table may do."""
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "serve-features-from-dynamodb.md"


def _opened(aws: AwsServer, **more: Any) -> DynamodbOnlineStore:
    """Open a store; a minute is much longer than anything takes."""
    settings = {"table": f"online-{uuid.uuid4().hex}", "create": True, "timeout_seconds": 60} | more
    return DynamodbOnlineStore(region=REGION, endpoint_url=aws.url, **settings)


@pytest.fixture(scope="module")
def store(aws: AwsServer) -> Iterator[DynamodbOnlineStore]:
    """Open a store on a table that it makes; a test takes views of its own."""
    store = _opened(aws)
    store.write("any", "customer_id", view_rows([1], [1], spend=[1.0]))
    yield store
    store.close()
    store.close()


@pytest.fixture(scope="module")
def opened_anew(store: DynamodbOnlineStore) -> Iterator[DynamodbOnlineStore]:
    """Open the same table again."""
    again = DynamodbOnlineStore(**store.model_dump())
    yield again
    again.close()


class TestDynamodbOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "emulator: moto"
    many = 350  # four requests of a read; the emulator takes 4 ms a write


def test_a_place_set_apart_is_a_table_that_is_gone_with_it(store: DynamodbOnlineStore, aws: AwsServer) -> None:
    """As `loopline conformance` needs one in an account of others; what a killed run left is found by its name."""
    before = aws.client("dynamodb").list_tables()["TableNames"]
    held_apart(store)
    assert aws.client("dynamodb").list_tables()["TableNames"] == before


def test_a_row_is_an_item_that_others_can_read(store: DynamodbOnlineStore, aws: AwsServer) -> None:
    """What lies in the table is as ``items`` says, the service is told when to delete it, and requests are billed."""
    view, now = new_view(), datetime.now(UTC)
    event_us = int((now - timedelta(hours=1)).timestamp() * 1e6)
    store.write(view, "customer_id", view_rows(["a"], [event_us], spend=[1.5], country=["Ærø"]), Keep(1.0, now))
    raw, part = aws.client("dynamodb"), Places("", view).of("a")
    assert part is not None
    item = raw.get_item(TableName=store.table, Key={"v": {"S": part[0]}, "k": {"S": "=a"}})["Item"]
    gone = int(item["g"]["N"])
    assert item == {
        "v": {"S": f"{view}#{0xE8B7BE43 % PARTS:02x}"},
        "k": {"S": "=a"},
        "t": {"N": str(event_us)},
        "p": {"B": pack_values((1.5, "Ærø"))},
        "g": {"N": str(gone)},
        "x": {"N": str(gone // 1000 + 1)},
    }
    assert gone / 1000 == pytest.approx((now + timedelta(hours=23)).timestamp(), abs=30)
    described = raw.describe_time_to_live(TableName=store.table)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "x"}
    table = raw.describe_table(TableName=store.table)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_expiry_is_counted_from_the_event_on_the_platforms_clock(store: DynamodbOnlineStore) -> None:
    """Data of 2011 replayed today lives as long as it would have then."""
    view, then = new_view(), datetime(2011, 3, 1, tzinfo=UTC)
    times = [int((then - age).timestamp() * 1e6) for age in (timedelta(hours=1), timedelta(hours=12, microseconds=-1))]
    store.write(view, "customer_id", view_rows([1, 2], times, spend=[1.0] * 2), Keep(0.5, then))
    time.sleep(0.05)  # until the row is too old by the clock
    assert events(store, view, ["1", "2"]) == {"1": times[0], "2": None}


def test_what_is_gone_holds_nobody_up(store: DynamodbOnlineStore) -> None:
    """A row that has expired is as none, though it lies there until the service deletes it, days later."""
    view, now = new_view(), datetime.now(UTC)
    event_us = int(now.timestamp() * 1e6)
    old = view_rows(["a", "b", "c"], [event_us] * 3, spend=[1.0] * 3)
    assert store.write(view, "customer_id", old, Keep(1e-9, now)) == 3
    time.sleep(0.05)  # until the row is too old by the clock
    assert store.write(view, "customer_id", view_rows(["a"], [event_us - 10], spend=[2.0])) == 1
    void = view_rows(["b", "c"], [event_us] * 2)
    assert store.replace(view, "customer_id", view_rows(["c"], [event_us - 10], spend=[3.0]), void) == 1
    kept = OnlineRow(event_us - 10, (2.0,))
    assert store.read([(view, ["a", "b", "c"])]) == [[kept, None, kept.__class__(event_us - 10, (3.0,))]]


def test_keys_that_the_table_cannot_hold(store: DynamodbOnlineStore) -> None:
    """Written they are refused before anything is; read they are unknown, and harm no other key of the request."""
    view, most = new_view(), "ü" * (MOST_KEY_BYTES // 2) + "x"
    assert store.write(view, "customer_id", view_rows([most, ""], [1, 1], spend=[1.0] * 2)) == 2
    with pytest.raises(ContractBroken, match=r"1024 bytes, and DynamoDB takes 1023 → give entities shorter keys"):
        store.write(view, "customer_id", view_rows(["ok", most + "x"], [1, 1], spend=[1.0] * 2))
    with pytest.raises(ContractBroken, match="1024 bytes"):
        store.replace(view, "customer_id", view_rows(["ok"], [1], spend=[1.0]), view_rows([most + "x"], [1]))
    asked = [most, most + "x", "\ud800", "", "ok"]
    assert events(store, view, asked) == {most: 1, most + "x": None, "\ud800": None, "": 1, "ok": None}


def test_a_row_that_the_table_cannot_hold(store: DynamodbOnlineStore) -> None:
    """A row of 400,000 bytes is taken (the emulator's limit is 405,000); above 400 KB it is named, and nothing done."""
    view, most = new_view(), 400_000
    store.write(view, "customer_id", view_rows(["a"], [1], text=["x" * most]))
    row = store.read([(view, ["a"])])[0][0]
    assert row is not None
    assert row.values == ("x" * most,)
    with pytest.raises(ContractBroken, match=f"the row of 'b' of '{view}' has .* DynamoDB takes 409600"):
        store.write(view, "customer_id", view_rows(["a", "b"], [2, 2], text=["x", "x" * (400 * 1024)]))
    assert events(store, view, ["a"]) == {"a": 1}


def test_drop_takes_every_page_of_a_view(store: DynamodbOnlineStore, aws: AwsServer) -> None:
    """A view of more than a megabyte in one part goes whole, and a view whose name begins the same stays."""
    view, places = new_view(), Places("", "v")
    same = [key for key in map(str, range(3000)) if (place := places.of(key)) and place[0] == places.parts[0]][:35]
    texts = ["x" * 390_000] * 4 + ["x"] * 31
    store.write(view, "customer_id", view_rows(same, [1] * 35, text=texts))
    store.write(f"{view}2", "customer_id", view_rows([1], [1], spend=[1.0]))
    store.drop(view)
    raw = aws.client("dynamodb")
    for name, left in ((f"{view}2", 1), (view, 0)):
        scanned = raw.scan(
            TableName=store.table,
            FilterExpression="begins_with(v, :v)",
            Select="COUNT",
            ExpressionAttributeValues={":v": {"S": f"{name}#"}},
        )
        assert scanned["Count"] == left


def test_a_table_that_is_missing(aws: AwsServer) -> None:
    """Who may not make it is told what to create and where; who may reads nothing until the first write."""
    store = _opened(aws, create=False)
    rows = view_rows([1], [1], spend=[1.0])
    attempts = (
        lambda: store.read([("v", ["1"])]),
        lambda: asyncio.run(store.fetch([("v", ["1"])])),
        lambda: store.write("v", "customer_id", rows),
        lambda: store.drop("v"),
    )
    for attempt in attempts:
        with pytest.raises(InvalidEnvironment) as caught:
            attempt()
        assert f"'{store.table}' in {REGION}" in caught.value.problem
        assert "partition key 'v' (S), sort key 'k' (S)" in caught.value.fix
    maker = _opened(aws, table=store.table)
    assert maker.read([("v", ["1"])]) == [[None]]
    assert maker.write("v", "customer_id", rows) == 1
    assert events(store, "v", ["1"]) == {"1": 1}
    store.close()
    maker.close()


def test_the_page_lists_these_rights_and_limits() -> None:
    """Whoever writes a policy from it gives what is tried below, no less and no more."""
    page = PAGE.read_text()
    assert set(re.findall(r"`(dynamodb:\w+)`", page)) == {*READER, *WRITER, *MAKER}
    assert f"at most {MOST_KEY_BYTES} bytes" in page
    assert f"its {PARTS} partition keys" in page


def test_rights_are_enough_and_needed(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the rights of his part can do it; whoever lacks one is told which, and an unknown one that he is."""
    rows, table = view_rows([1], [1], spend=[1.0]), f"online-{uuid.uuid4().hex}"

    def opened(*rights: str, create: bool = True) -> DynamodbOnlineStore:
        key, secret = aws.user({"Effect": "Allow", "Action": list(rights), "Resource": "*"})
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        store = _opened(aws, table=table, create=create)
        _finds_credentials(store)
        return store

    maker, writer, reader = opened(*MAKER, *WRITER), opened(*WRITER, create=False), opened(*READER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    wrong = _opened(aws, table=table)
    _finds_credentials(wrong)
    with aws.checked():
        assert maker.write("v", "customer_id", rows) == 1
        assert writer.replace("v", "customer_id", rows, view_rows([1, 2], [1, 1])) == 1
        assert events(reader, "v", ["1"]) == {"1": 1}
        with pytest.raises(InvalidEnvironment, match="dynamodb:BatchGetItem"):
            writer.read([("v", ["1"])])
        with pytest.raises(InvalidEnvironment, match="dynamodb:DescribeTable"):
            reader.write("v", "customer_id", rows)
        with pytest.raises(InvalidEnvironment, match="SignatureDoesNotMatch"):
            wrong.read([("v", ["1"])])
        writer.drop("v")
        assert events(reader, "v", ["1"]) == {"1": None}
    for store in (maker, writer, reader, wrong):
        store.close()


@pytest.mark.parametrize(
    ("missing", "told"), [("AWS_ACCESS_KEY_ID", "workload identity"), ("AWS_SECRET_ACCESS_KEY", "workload identity")]
)
def test_without_credentials_it_is_said_so(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, missing: str, told: str
) -> None:
    """Nothing is sent, and the fix says how an identity is given."""
    monkeypatch.delenv(missing)
    store = _opened(aws)
    with pytest.raises(Permanent, match=told):
        store.read([("v", ["1"])])
    store.close()


def test_without_a_region_it_is_said_so(aws: AwsServer) -> None:
    """The environment file may set it, or the process."""
    store = DynamodbOnlineStore(endpoint_url=aws.url)
    with pytest.raises(InvalidEnvironment, match="set 'region' in the environment file, or AWS_REGION"):
        store.read([("v", ["1"])])


def test_a_forked_process_has_connections_of_its_own(store: DynamodbOnlineStore) -> None:
    """Parent and child read at the same time through one store and never get each other's answers."""
    view = new_view()
    store.write(view, "customer_id", view_rows([1, 2], [1, 2], spend=[1.0, 2.0]))
    assert events(store, view, ["1"]) == {"1": 1}
    child = multiprocessing.get_context("fork").Process(target=_reads_right, args=(store, view, "2", 2))
    child.start()
    _reads_right(store, view, "1", 1)
    child.join(60)
    assert child.exitcode == 0


def test_what_another_program_wrote_is_named(store: DynamodbOnlineStore, aws: AwsServer) -> None:
    """An item that is no row is a broken contract, and a fix comes with it."""
    place = Places("", "strange").of("1")
    assert place is not None
    aws.client("dynamodb").put_item(TableName=store.table, Item={"v": {"S": place[0]}, "k": {"S": place[1]}})
    with pytest.raises(ContractBroken, match="refill"):
        store.read([("strange", ["1"])])


def test_two_environments_share_a_table(store: DynamodbOnlineStore) -> None:
    """Each below a prefix of its own."""
    other, view = DynamodbOnlineStore(**store.model_dump() | {"prefix": "other/"}), new_view()
    other.write(view, "customer_id", view_rows([1], [1], spend=[1.0]))
    store.drop(view)
    assert (events(store, view, ["1"]), events(other, view, ["1"])) == ({"1": None}, {"1": 1})
    other.close()


def _finds_credentials(store: DynamodbOnlineStore) -> None:
    store._readers.get()
    store._pens.get()


def _reads_right(store: DynamodbOnlineStore, view: str, key: str, event: int) -> None:
    for _ in range(50):
        assert events(store, view, [key]) == {key: event}
