"""A record without a value ends the row of its key; where that cannot be, it is a letter that says why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.ingestion.streams.tombstones import tombstone
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.stories.changing_shop import VIEWS, Order, came

SPENDING = VIEWS[0]
KEYS = (b'{"store": 1, "number": 1}', b'{"number": "1", "store": 1.0, "more": null}')
NO_KEYS = (
    b'{"store": 1}',
    b'{"store": 1, "number": null}',
    b'{"store": 1, "number": [1]}',
    b'{"store": 1, "number": "\\ud800"}',
    b"1",
    b"\xff",
    b"",
    None,
)


@pytest.mark.parametrize("keys", [KEYS[:1], KEYS[1:], NO_KEYS], ids=["a key", "a key written otherwise", "none"])
def test_the_key_says_which_row(opened: Any, keys: tuple[bytes | None, ...]) -> None:
    """As an object with the key's columns; what says less or something else is a letter, and ends nothing."""
    shop = opened(streams=True)
    shop.at(10, came("", Order(1, 1, 2, 100)))
    stream = shop.platform.event_stream
    stream.publish("shop/orders", [Record(None, key) for key in keys])
    shop.at(20)
    assert (shop.online(SPENDING, [1])[1] is None) == (keys != NO_KEYS)
    letters = dead_letters(shop.platform, shop.team, shop.sources["orders"]).to_pylist()
    odd = [(key or b"").decode(errors="backslashreplace") for key in keys if key not in KEYS]
    assert [letter["reasons"] for letter in letters] == [["tombstone.key"]] * len(odd)
    came_as = [json.loads(letter["row"]) for letter in letters]
    assert {one["_deleted"] for one in came_as} <= {"true"}
    assert sorted(one["_malformed"] for one in came_as) == sorted(odd)
    dead = stream.read("shop/orders.dead", {}, 9).to_pylist()
    said = [(one["value"], json.loads(json.loads(one["headers"])["reasons"])) for one in dead]
    assert said == [(b"", ["tombstone.key"])] * len(odd)


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"a7", "a7"), (b'"a7"', "a7"), (b"007", "007"), (b"1e5", "1e5"), (b'{"Id": "a7"}', "a7"), (b"null", None)],
)
def test_a_key_of_one_column_may_be_its_value(tmp_path: Any, key: bytes, value: str | None) -> None:
    """Bare, as JSON, or in an object by its physical name; no number is rounded."""
    (tmp_path / "c.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n  - name: c\n    properties:\n"
        "      - {name: id, physicalName: Id, logicalType: string, primaryKey: true}\n"
    )
    contract = read_contract(tmp_path / "c.yaml")
    assert tombstone(contract, key).get("Id") == value


def test_a_letter_of_a_tombstone_can_be_mended(opened: Any) -> None:
    """Whoever gives the key's fields ends that row."""
    shop = opened(streams=True)
    shop.at(10, came("", Order(1, 1, 2, 100)))
    shop.platform.event_stream.publish("shop/orders", [Record(None, b"one")])
    shop.at(20)
    args = shop.platform, shop.team, shop.sources["orders"]
    [letter] = dead_letters(*args).to_pylist()
    done = replay(*args, pa.table({"letter_id": [letter["letter_id"]], "store": ["1"], "number": ["1"]}))
    assert (done.replayed, done.still_dead) == (1, 0)
    shop.at(30)
    assert shop.online(SPENDING, [1]) == {1: None}


def test_where_nothing_names_rows_it_is_a_letter(opened: Any) -> None:
    """It says that the contract has no key; other records land, and a replay of all letters goes on."""
    shop = opened(streams=True)
    contract = shop.folder / "orders.yaml"
    contract.write_text(contract.read_text().replace(", primaryKey: true", "").replace(", primaryKeyPosition: 1", ""))
    contract.write_text(contract.read_text().replace(", primaryKeyPosition: 2", ""))
    shop.platform.event_stream.publish("shop/orders", [Record(None, b"1")])
    shop.bring(10, came("", Order(1, 1, 2, 100)))
    args = shop.platform, shop.team, shop.sources["orders"]
    [letter] = dead_letters(*args).to_pylist()
    assert (letter["reasons"], json.loads(letter["row"])) == (["tombstone.no_key"], {"_malformed": "1"})
    assert len(shop.platform.lake.read("shop/raw/orders")) == 1
    assert replay(*args).still_dead == 1


def test_a_landing_that_is_done_again_says_the_same(opened: Any, monkeypatch: Any) -> None:
    """Killed between letters and rows, it makes no second letter, and the row ends once."""
    shop = opened(streams=True)
    shop.at(10, came("", Order(1, 1, 2, 100), Order(3, 2, 2, 5)))
    stream, lake = shop.platform.event_stream, shop.platform.lake
    stream.publish("shop/orders", [Record(None, b"odd"), Record(None, b'{"store": 1, "number": 1}')])
    kill = type(lake).append

    def dies(self: Any, table: str, *rest: Any, **more: Any) -> int:
        if table == "shop/raw/orders":
            raise KeyboardInterrupt
        return int(kill(self, table, *rest, **more))

    monkeypatch.setattr(type(lake), "append", dies)
    with pytest.raises(KeyboardInterrupt):
        land(shop.platform, shop.team, replace(shop.sources["orders"]))
    monkeypatch.undo()
    shop.at(20)
    assert shop.online(SPENDING, [1, 2]) == {1: None, 2: (5.0,)}
    assert len(lake.read("shop/dead_letters/orders")) == 1
