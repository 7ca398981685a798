"""No file, row or header can stop a source: what is odd is a letter or a refused file, and the others go on."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core import alarms
from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landing import land, pending
from loopline.platform_core.ingestion.letters import dead_shares, refusals
from loopline.platform_core.ingestion.letters.dead_letters import dead_letters, replay
from loopline.platform_core.ingestion.letters.troubles import Troubles, troubles
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.polars.engine import PolarsEngine

HEADER = "Customer,Price,At\n"
ROW = "7,2,2020-01-01 10:00:00\n"
ODD_FILES = {
    "line ends of a classic Mac": (HEADER + ROW).replace("\n", "\r"),
    "a first line of 200 kB": '[{"a":"' + "x" * 200_000 + '"}]\n',
    "a column _line": "_line," + HEADER + "1," + ROW,
    "a column _malformed": "_malformed," + HEADER + "1," + ROW,
    "a column _arrival": "_arrival," + HEADER + "1," + ROW,
    "a column _arrived_at": "_arrived_at," + HEADER + "1," + ROW,
    "nothing": "",
    "an open quote in the header": '"' + HEADER + ROW,
    "UTF-16": (HEADER + ROW).encode("utf-16"),
    "semicolons": (HEADER + ROW).replace(",", ";"),
}
WHOLE_FILES = {
    "a column _id, as MongoDB writes": "_id," + HEADER + "1," + ROW,
    "a column _date": "_date," + HEADER + "1," + ROW,
    "a column reasons, and a bad row": "reasons," + HEADER + "1," + ROW + "1,x,2,\n",
    "Windows line ends": (HEADER + ROW).replace("\n", "\r\n"),
}
DEAD_INSTANTS = (
    "+10000-01-01T00:00:00",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "0000-01-01T00:00:00",
    "-0001-01-01T00:00:00",
    "+262142-01-01T00:00:00",
    "0001-01-01T00:00:00",
    "1899-12-31T23:59:59",
    "9999-12-31T00:00:00",
    "2020-01-04T00:00:01",
)


@pytest.fixture
def files(shop: Any, tmp_path: Path) -> Any:
    """Let files arrive in a folder, one a minute, on Delta tables."""
    bindings = shop.platform.environment.bindings
    bindings["event_source"] = FolderEventSource(root=str(tmp_path / "landing"))
    bindings["lake"] = DeltaLake(root=str(tmp_path / "lake"))
    folder, minutes = tmp_path / "landing/shop/orders", iter(range(1000))
    folder.mkdir(parents=True)

    def put(name: str, content: str | bytes) -> Path:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        at = (datetime(2020, 1, 2, tzinfo=UTC) + timedelta(minutes=next(minutes))).timestamp()
        os.utime(folder / name, (at, at))
        return folder / name

    shop.put = put
    return shop


@pytest.mark.parametrize("odd", ODD_FILES)
def test_an_odd_file_is_refused_and_the_others_land(files: Any, odd: str) -> None:
    """Good files before and behind it land, in one landing; it is a refusal with a problem and a fix."""
    files.put("1.csv", HEADER + "1,1,\n")
    files.put("2.csv", ODD_FILES[odd])
    files.put("3.csv", HEADER + "3,3,\n")
    landed = land(*files.args)
    assert files.prices() == [1, 3]
    [refusal] = landed.refused
    assert refusal.name == "2.csv"
    assert refusal.problem
    assert refusal.fix
    assert land(*files.args).arrivals == 0


@pytest.mark.parametrize("odd", WHOLE_FILES)
def test_columns_that_nobody_asked_for_do_not_matter(files: Any, odd: str) -> None:
    """A file with more columns lands beside one without; dead letters keep what came."""
    files.put("1.csv", HEADER + "1,1,\n")
    files.put("2.csv", WHOLE_FILES[odd])
    assert land(*files.args).refused == ()
    assert files.prices() == [1, 2]


def test_a_letter_keeps_fields_whose_names_begin_with_a_line(files: Any) -> None:
    """A field called _id is a field of the row as it came."""
    files.put("1.csv", "_id," + HEADER + "a,x,2,\n")
    land(*files.args)
    assert '"_id":"a"' in dead_letters(*files.args)["row"][0].as_py()


def test_instants_that_cannot_be_or_be_held_are_letters(files: Any) -> None:
    """Years before 1 and after 9999 in UTC, and events before 1900 or more than a day ahead of now."""
    for number, written in enumerate(DEAD_INSTANTS):
        rows = f"7,1,{written}\n7,2,2020-01-03 23:59:59\n7,3,1900-01-01\n7,4,1900-01-01 00:00:00\n8,{number + 5},\n"
        files.put(f"{number}.csv", HEADER + rows)
    land(*files.args)
    assert sorted(set(files.prices())) == [2, 4, *range(5, 15)]
    for number in range(len(DEAD_INSTANTS)):
        letters = [one for one in files.rows("shop/dead_letters/orders") if one["name"] == f"{number}.csv"]
        assert [(one["_line"], len(one["reasons"])) for one in letters] == [(2, 1), (4, 1)], DEAD_INSTANTS[number]
        assert letters[0]["reasons"][0] in {"at.parsable", "at.minimum", "at.maximum"}
        assert letters[1]["reasons"] == ["at.parsable"]


def test_a_contract_may_say_other_bounds(files: Any) -> None:
    """An expiry date lies in the future; a bound that the contract does not give stays."""
    file = files.folder / "orders.yaml"
    said = "logicalType: timestamp, logicalTypeOptions: {maximum: 9998-12-31}"
    file.write_text(file.read_text().replace("logicalType: timestamp", said))
    files.put("1.csv", HEADER + "7,1,9998-12-31T00:00:00\n7,2,9999-01-01T00:00:00\n7,3,1800-01-01T00:00:00\n")
    assert land(*files.args).reasons == {"at.maximum": 1, "at.minimum": 1}
    assert files.prices() == [1]


def test_a_row_ahead_of_its_time_lands_when_its_day_has_come(files: Any) -> None:
    """A letter of the day after tomorrow is replayed once it is no longer ahead."""
    files.put("1.csv", HEADER + "7,1,2020-01-05 00:00:00\n7,2,\n")
    assert land(*files.args).reasons == {"at.maximum": 1}
    assert replay(*files.args).replayed == 0
    files.platform.clock.set(datetime(2020, 1, 4, 1, tzinfo=UTC))
    assert replay(*files.args).replayed == 1
    assert files.prices() == [1, 2]


class Trips(PolarsEngine):
    """An engine with a defect: it trips over a price of 13, in each way there is."""

    by: Any = ValueError("thirteen")

    def check_rows(self, rows: pa.Table, contract: Any) -> Any:
        """Trip."""
        if "13" in rows["Price"].to_pylist():
            raise self.by
        return super().check_rows(rows, contract)


class PanicException(BaseException):
    """What a library written in Rust raises is called so."""


@pytest.mark.parametrize("by", [ValueError("thirteen"), PanicException("thirteen"), RecursionError("thirteen")])
def test_what_nobody_foresaw_is_a_refusal(files: Any, by: BaseException) -> None:
    """It is kept, listed, alarmed with the kind of failure, and the others go on."""
    files.platform.environment.bindings["engine"] = Trips(by=by)
    files.put("1.csv", HEADER + "1,1,\n")
    files.put("2.csv", HEADER + "1,13,\n")
    files.put("3.csv", HEADER + "3,3,\n")
    [refusal] = land(*files.args).refused
    assert files.prices() == [1, 3]
    assert refusal.problem == f"2.csv: unforeseen {type(by).__name__}: thirteen"
    [entry] = files.entries("arrival.refused")
    assert "thirteen" in "".join(entry.details["trace"])
    [alarm] = alarms.standing(files.platform.ledger)
    assert (alarm.alarm.cause, alarm.alarm.severity) == ("refused:shop/orders", "error")
    assert "2.csv" in alarm.alarm.problem


def test_a_store_that_is_away_is_nobodys_refusal(files: Any) -> None:
    """What is worth another try is tried again: no file is refused for it."""
    files.platform.environment.bindings["engine"] = Trips(by=StoreUnavailable("away", "wait"))
    files.put("2.csv", HEADER + "1,13,\n")
    with pytest.raises(StoreUnavailable):
        land(*files.args)
    assert files.entries("arrival.refused") == []


def test_one_file_that_cannot_be_written_holds_no_other_up(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that fails is written file by file; where none can be written it is the lake's failure, not theirs."""
    append = DeltaLake.append

    def chokes(lake: DeltaLake, table: str, rows: pa.Table, *more: Any) -> int:
        if "/raw/" in table and 13 in rows["price"].to_pylist():
            raise OverflowError("thirteen")
        return append(lake, table, rows, *more)

    monkeypatch.setattr(DeltaLake, "append", chokes)
    files.put("2.csv", HEADER + "1,13,\n")
    with pytest.raises(OverflowError):
        land(*files.args)
    files.put("1.csv", HEADER + "1,1,\n,9,\n")
    files.put("3.csv", HEADER + "3,3,\n")
    landed = land(*files.args)
    assert (landed.arrivals, landed.rows, landed.dead) == (2, 2, 1)
    assert [refusal.name for refusal in landed.refused] == ["2.csv"]
    assert files.prices() == [1, 3]
    assert not pending(*files.args)


def _standing(files: Any) -> list[str]:
    return [one.alarm.cause for one in alarms.standing(files.platform.ledger)]


def _troubles(files: Any) -> Troubles:
    return troubles(files.platform.ledger, "shop", "orders")


def _refused(files: Any) -> list[str]:
    return [one.name for one in _troubles(files).refused]


def test_a_refused_file_stands_until_it_is_replaced(files: Any) -> None:
    """Other landings leave it standing; once another file lies there it is over, and that one lands."""
    files.put("bad.csv", "Customer,At\n7,\n")
    land(*files.args)
    for day in range(3):
        files.put(f"{day}.csv", HEADER + f"7,{day + 1},\n")
        land(*files.args)
        assert _refused(files) == ["bad.csv"]
        assert _standing(files) == ["refused:shop/orders"]
    files.put("bad.csv", HEADER + "7,9,\n")
    assert [a.name for a in pending(*files.args)] == ["bad.csv"]
    assert _standing(files) == _refused(files) == []
    land(*files.args)
    assert files.prices() == [1, 2, 3, 9]
    assert [e.details["how"] for e in files.entries("arrival.settled")] == ["gone"]


def test_a_refused_file_is_over_once_another_contract_takes_it(files: Any) -> None:
    """A contract of a new version tries again; what lands is settled as landed."""
    files.put("bad.csv", "Customer,At\n7,\n")
    land(*files.args)
    files.contract("1.1.0", without=("price",))
    assert land(*files.args).rows == 1
    pending(*files.args)
    assert _standing(files) == _refused(files) == []
    assert [e.details["how"] for e in files.entries("arrival.settled")] == ["landed"]


def test_a_refused_file_may_be_dismissed_or_tried_again(files: Any) -> None:
    """Who and why is kept; what is tried again and refused again stands on."""
    bad = files.put("bad.csv", "Customer,At\n7,\n")
    land(*files.args)
    inbox = Inbox.of(*files.args)
    refusals.decide(inbox, "bad.csv", "retry", "ada", "")
    assert [a.name for a in pending(*files.args)] == ["bad.csv"]
    assert [one.name for one in land(*files.args).refused] == ["bad.csv"]
    assert len(files.entries("arrival.refused")) == 2
    with pytest.raises(Refused):
        refusals.decide(inbox, "bad.csv", "dismissed", "ada", " ")
    refusals.decide(inbox, "bad.csv", "dismissed", "ada", "a test file")
    assert _standing(files) == _refused(files) == []
    files.contract("2.0.0")
    assert land(*files.args).refused == ()
    with pytest.raises(NotFound):
        refusals.decide(inbox, "", "retry", "ada", "")
    assert files.entries("arrival.settled")[-1].actor == "ada"
    assert bad.exists()


def test_an_arrival_of_mostly_dead_rows_stands_until_somebody_acts(files: Any) -> None:
    """Good landings do not end it; a dismissal does, or a replay."""
    files.put("bad.csv", HEADER + "7,1,\n" + "7,0,\n" * 7)
    files.put("good.csv", HEADER + "7,2,\n" * 50)
    land(*files.args)
    files.put("more.csv", HEADER + "7,3,\n")
    land(*files.args)
    [alarm] = alarms.standing(files.platform.ledger)
    assert alarm.alarm.cause == "dead-letters:shop/orders"
    assert "7 of 8 rows of bad.csv broke the contract, most often for price.minimum" in alarm.alarm.problem
    assert [share.name for share in _troubles(files).mostly_dead] == ["bad.csv"]
    dead_shares.dismiss(Inbox.of(*files.args), "ada", "known")
    assert _standing(files) == []
    files.put("again.csv", HEADER + "7,0.5,\n")
    land(*files.args)
    assert _standing(files) == ["dead-letters:shop/orders"]
    files.contract("1.1.0", low=0.1)
    assert replay(*files.args).replayed == 1
    assert _standing(files) == []


def test_a_file_that_moves_while_it_is_read_is_looked_for_again(files: Any) -> None:
    """It is no refusal, and holds no other up."""

    class Moves(FolderEventSource):
        def read(self, source: str, arrival: Any) -> pa.Table:
            if arrival.name == "1.csv":
                raise NotFound("it moved", "list again")
            return super().read(source, arrival)

    bindings = files.platform.environment.bindings
    whole = bindings["event_source"]
    bindings["event_source"] = Moves(root=whole.root)
    files.put("1.csv", HEADER + "1,1,\n")
    files.put("2.csv", HEADER + "1,2,\n")
    landed = land(*files.args)
    assert (landed.arrivals, landed.refused, files.prices()) == (1, (), [2])
    bindings["event_source"] = whole
    assert land(*files.args).rows == 1


def test_a_files_time_is_believed_as_far_as_it_can_be_true(files: Any) -> None:
    """Not later than now; and not a day and more before its own events, as an archive's 1970 is."""
    now = files.platform.clock.now()
    for year in (2027, 1970):
        path, at = (
            files.put(f"{year}.csv", HEADER + f"{year},2,2020-01-02 10:00:00\n"),
            datetime(year, 1, 1, tzinfo=UTC),
        )
        os.utime(path, (at.timestamp(), at.timestamp()))
    land(*files.args)
    assert {row["_arrived_at"] for row in files.rows()} == {now}
    own = files.put("own.csv", HEADER + "1,1,2020-01-02 10:00:00\n")
    land(*files.args)
    assert files.rows()[0]["_arrived_at"].timestamp() == own.stat().st_mtime


@pytest.mark.parametrize(
    ("names", "prices"),
    [("012", (10, 99, 10)), ("0000", (10, 10, 99, 10))],
    ids=["a file a day", "one file that is written over again and again"],
)
def test_prices_that_go_back_land_again(files: Any, names: str, prices: tuple[int, ...]) -> None:
    """A, B, A: what has no event time holds from its arrival on, so the third says something; A touched says none."""
    files.contract(without=("at",))
    for name, price in zip(names, prices, strict=True):
        files.put(f"{name}.csv", f"Customer,Price\n7,{price}\n")
        land(*files.args)
    assert [row["price"] for row in files.rows()] == [10, 99, 10]
    assert land(*files.args).arrivals == 0


def test_a_copy_of_what_happened_is_told_and_lands_no_second_time(files: Any) -> None:
    """Rows with an event time count once; whoever knows better has the copy landed."""
    files.put("a.csv", HEADER + ROW)
    land(*files.args)
    files.put("b.csv", HEADER + ROW)
    assert not pending(*files.args)
    assert not pending(*files.args)
    [entry] = files.entries("arrival.skipped")
    assert entry.reason == "b.csv holds what a.csv held, and lands no second time"
    known = refusals.refusals(files.platform.ledger, "shop", "orders")
    assert [one.name for one in known.skipped.values()] == ["b.csv"]
    assert _standing(files) == []
    refusals.decide(Inbox.of(*files.args), "b.csv", "retry", "ada", "two orders alike")
    assert land(*files.args).rows == 1
    assert files.prices() == [2, 2]


def test_a_file_that_was_renamed_before_it_landed_lands(files: Any) -> None:
    """It is no copy of what never landed; and a copy of it is one, whatever was taken away since."""
    path = files.put("a.csv", HEADER + ROW)
    files.platform.event_source.arrivals("shop/orders")
    path.rename(path.with_name("b.csv"))
    assert land(*files.args).rows == 1
    path.with_name("b.csv").unlink()
    files.put("c.csv", HEADER + ROW)
    assert not pending(*files.args)
    files.put("a.csv", HEADER + ROW)
    assert not pending(*files.args)
    assert files.prices() == [2]


def test_a_file_of_no_kind_that_is_read_stands_until_it_is_gone(files: Any) -> None:
    """A spreadsheet is named, in an alarm, until it is taken away."""
    path = files.put("a.xlsx", b"PK")
    [refusal] = land(*files.args).refused
    assert "a.xlsx is of no kind that is read" in refusal.problem
    assert ".parquet" in refusal.fix
    assert _standing(files) == ["refused:shop/orders"]
    path.unlink()
    pending(*files.args)
    assert _standing(files) == []
