"""Files in a folder keep the event source's promises."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.ingestion.inbox import LandedIds, application
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.resources.folder import landing_folder
from loopline.resources.folder.arrival_log import HASHES, LOG, ArrivalLog, FileState, LoggedFile
from loopline.resources.folder.csv_rows import read_rows
from loopline.resources.folder.delivery import FolderDelivery
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.folder.parquet_rows import read_rows as parquet_rows
from tests.repeats import repeats
from tests.waiting import until


@pytest.fixture
def events(tmp_path: Path) -> FolderEventSource:
    """Read a folder that is not there yet."""
    return FolderEventSource(root=str(tmp_path / "landing"))


@pytest.fixture
def deliver(tmp_path: Path) -> FolderDelivery:
    """Deliver into that folder."""
    return FolderDelivery(tmp_path / "landing")


class TestFolderEventSource(EventSourceKit):
    """Every promise of the contract."""

    tested_on = "disk"


def test_a_new_process_does_not_read_every_file_again(
    events: FolderEventSource, deliver: FolderDelivery, tmp_path: Path
) -> None:
    """Hashes are kept beside the files, as long as size and time are the same."""
    deliver.whole("t/s", "a", b"id\n1", MORNING)
    first = events.arrivals("t/s")
    events.lay("t/s", "a.csv", b"id\n2", MORNING)
    assert FolderEventSource(root=events.root).arrivals("t/s") == first
    (tmp_path / "landing/t/s" / LOG).write_text("no JSON\n")
    assert FolderEventSource(root=events.root).arrivals("t/s") != first


def test_a_file_that_changed_is_another_arrival(events: FolderEventSource, deliver: FolderDelivery) -> None:
    """What was listed cannot be read any more; what is there now is listed."""
    deliver.whole("t/s", "a", b"id\n1", MORNING)
    before = events.arrivals("t/s")[0]
    deliver.whole("t/s", "a", b"id\n2", MORNING + timedelta(hours=1))
    with pytest.raises(NotFound, match="no longer what it was"):
        events.read("t/s", before)
    after = events.arrivals("t/s")[0]
    assert after.arrival_id != before.arrival_id
    assert events.read("t/s", after)["id"].to_pylist() == ["2"]


def test_what_another_version_kept_is_taken_over(events: FolderEventSource, tmp_path: Path) -> None:
    """Arrivals keep their ids, and a copy that was passed over then is no arrival of its own now."""
    folder, digest, kept = tmp_path / "landing/t/s", hashlib.sha256(b"id\n1").hexdigest(), {}
    for name in ("a.csv", "b.csv"):
        events.lay("t/s", name, b"id\n1", MORNING)
        kept[name] = [4, (folder / name).stat().st_mtime_ns, digest]
    (folder / HASHES).write_text(json.dumps(kept))
    assert {a.arrival_id for a in events.arrivals("t/s")} == {digest}
    assert {a.arrival_id for a in FolderEventSource(root=events.root).arrivals("t/s")} == {digest}


def test_an_arrival_keeps_its_id_whatever_is_removed(
    events: FolderEventSource, deliver: FolderDelivery, tmp_path: Path
) -> None:
    """The third of A, B, A is no copy of a file that was taken away; and a log that is torn loses one line at most."""
    for hours, (name, content) in enumerate((("1", b"id\na"), ("2", b"id\nb"), ("3", b"id\na"))):
        deliver.whole("t/s", name, content, MORNING + timedelta(hours=hours))
        events.arrivals("t/s")
    ids = {a.name: a.arrival_id for a in events.arrivals("t/s")}
    (tmp_path / "landing/t/s/1.csv").unlink()
    for source in (events, FolderEventSource(root=events.root)):
        assert {a.name: a.arrival_id for a in source.arrivals("t/s")} == {n: ids[n] for n in ("2.csv", "3.csv")}
    with (tmp_path / "landing/t/s" / LOG).open("ab") as file:
        file.write(b'{"name": "torn')
    deliver.whole("t/s", "4", b"id\nc", MORNING + timedelta(hours=4))
    assert len(FolderEventSource(root=events.root).arrivals("t/s")) == 3
    assert len(FolderEventSource(root=events.root).arrivals("t/s")) == 3
    assert (tmp_path / "landing/t/s" / LOG).read_bytes().count(b"\n") == 4


def test_two_processes_name_arrivals_alike(deliver: FolderDelivery, events: FolderEventSource) -> None:
    """Whoever sees a file first appends it, and the other takes over what it was called."""
    other = FolderEventSource(root=events.root)
    for number in range(20):
        deliver.whole("t/s", str(number), b"id\n%d" % (number % 3), MORNING + timedelta(minutes=number))
        first, second = (events, other) if number % 2 else (other, events)
        assert first.arrivals("t/s") == second.arrivals("t/s")
    assert len({a.arrival_id for a in events.arrivals("t/s")}) == 20


def test_a_folder_that_cannot_be_written_is_read_all_the_same(events: FolderEventSource, tmp_path: Path) -> None:
    """Each process names its arrivals by itself."""
    (tmp_path / "landing/t/s" / LOG).mkdir(parents=True)  # nothing can be appended to it, whoever tries
    for name in ("a.csv", "b.csv"):
        events.lay("t/s", name, b"id\n1", MORNING)
    assert len({a.arrival_id for a in events.arrivals("t/s")}) == 2
    assert FolderEventSource(root=events.root).arrivals("t/s") == events.arrivals("t/s")


def test_a_file_that_is_being_written_waits_until_it_is_still(tmp_path: Path) -> None:
    """Half a copy under the file's own name is not taken, nor does it hold others up; the whole one is, once."""
    events, folder = FolderEventSource(root=str(tmp_path), still_seconds=3600), tmp_path / "t/s"
    events.lay("t/s", "whole.csv", b"id\n1", MORNING + timedelta(hours=1))
    (folder / "half.csv").write_bytes(b"id\n1\n")
    assert [a.name for a in events.arrivals("t/s")] == ["whole.csv"]
    with (folder / "half.csv").open("ab") as file:
        file.write(b"2\n")
    assert [a.name for a in events.arrivals("t/s")] == ["whole.csv"]
    _date(folder / "half.csv")  # as cp -p ends
    [half, _] = events.arrivals("t/s")
    assert events.read("t/s", half)["id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize("skew_seconds", [7200, -7200])
def test_a_file_is_still_by_the_clock_that_dates_it(
    skew_seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file server's clock may be behind this machine's, or ahead: half a file waits, and the whole one is taken."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + skew_seconds)
    folder = tmp_path / "t/s"
    folder.mkdir(parents=True)
    (folder / "half.csv").write_bytes(b"id\n1\n")
    assert FolderEventSource(root=str(tmp_path), still_seconds=3600).arrivals("t/s") == []
    until(lambda: _sees_one_that_looks_once(tmp_path, 0.3))


@pytest.mark.parametrize("still_seconds", [0.0, 0.3])
def test_a_process_that_looks_once_sees_that_a_file_is_still(still_seconds: float, tmp_path: Path) -> None:
    """Also where it can write nothing beside the files, and so not ask what time it is there: it looks twice."""
    folder = tmp_path / "t/s"
    (folder / landing_folder.PROBE).mkdir(parents=True)  # nothing can be written there, whoever tries
    (folder / "a.csv").write_bytes(b"id\n1\n")
    assert _sees_one_that_looks_once(tmp_path, still_seconds)


def _sees_one_that_looks_once(root: Path, still_seconds: float) -> bool:
    return len(FolderEventSource(root=str(root), still_seconds=still_seconds).arrivals("t/s")) == 1


PACKED = {"": bytes, ".gz": gzip.compress, ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
CONTENT = {
    ".csv": b"id,name\n1,a\n2,\n",
    ".CSV": b"id,name\n1,a\n2,\n",
    ".jsonl": b'{"id": 1, "name": "a"}\n\n{"id": 2}\n',
    ".ndjson": b'{"id": "1", "name": "a"}\n{"id": 2, "name": null}',
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("kind", [*CONTENT, ".parquet"])
def test_kinds_of_files_that_are_read(kind: str, packing: str, tmp_path: Path) -> None:
    """Each kind, packed or not, in any case, is read as the same rows of text."""
    content = CONTENT.get(kind)
    if content is None:
        parquet.write_table(pa.table({"id": [1, 2], "name": ["a", None]}), tmp_path / "one")
        content = (tmp_path / "one").read_bytes()
    folder, events = tmp_path / "t/s", FolderEventSource(root=str(tmp_path), still_seconds=0)
    folder.mkdir(parents=True)
    (folder / f"a{kind}{packing}").write_bytes(PACKED[packing](content))
    (folder / f"b{kind}{packing.upper()}").write_bytes(PACKED[packing](content + b"\n" * (kind != ".parquet")))
    for arrival in events.arrivals("t/s"):
        rows = events.read("t/s", arrival)
        assert rows.select(["id", "name"]).to_pydict() == {"id": ["1", "2"], "name": ["a", None]}
        assert rows["_malformed"].null_count == 2
        assert rows["_line"].to_pylist()[0] == {"j": 1, "n": 1, "p": 1}.get(kind[1], 2)


def test_values_of_a_parquet_file_are_written_as_the_contract_reads_them() -> None:
    """Instants in UTC, days, decimals, truth values; pandas' NaN is missing; what is nested is JSON."""
    instant = datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))
    table = pa.table(
        {
            "zoned": pa.array([instant, None], pa.timestamp("ns", "Europe/Paris")),
            "bare": pa.array([instant.replace(tzinfo=None), None], pa.timestamp("ms")),
            "day": pa.array([date(2020, 1, 2), None]),
            "money": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
            "number": pa.array([0.1, float("nan")]),
            "truth": pa.array([True, None]),
            "word": pa.array(["ä", None]).dictionary_encode(),
            "list": pa.array([[1, 2], None]),
            "bytes": pa.array([b"x", None], pa.binary()),
            "nothing": pa.nulls(2),
        }
    )
    out = pa.BufferOutputStream()
    parquet.write_table(table, out)
    first, second = parquet_rows(out.getvalue().to_pybytes(), "f.parquet").drop_columns(["_line"]).to_pylist()
    assert first == {
        "zoned": "2020-01-02T01:04:05.000006+00:00",
        "bare": "2020-01-02T03:04:05.000000",
        "day": "2020-01-02",
        "money": "1.50",
        "number": "0.1",
        "truth": "true",
        "word": "ä",
        "list": "[1,2]",
        "bytes": "x",
        "nothing": None,
        "_malformed": None,
    }
    assert set(second.values()) == {None}


ODD = {
    "a.txt": b"id\n1",
    "b.csv.bz2": b"id",
    "c.csv.gz": b"no gzip",
    "d.csv.gz": gzip.compress(b"id\n" + b"1\n" * 999)[:-9],
    "e.csv.zst": b"no zstd",
    "f.parquet": b"PAR1 no Parquet PAR1",
    "g.jsonl": b"\n \n",
    "h.jsonl": b'{"_line": 1}\n',
    "i.csv": b"_arrival\n1\n",
    "j.parquet": b"",
    ".hidden.csv": b"id\n1",
    "_SUCCESS": b"",
    "k.csv.tmp": b"id\n1",
}


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    """Everything that lies there and is no draft is listed, and refused with its name: nothing is silent."""
    folder, events = tmp_path / "t/s", FolderEventSource(root=str(tmp_path), still_seconds=0)
    (folder / "folder").mkdir(parents=True)
    for name, content in ODD.items():
        (folder / name).write_bytes(content)
    listed = events.arrivals("t/s")
    assert {a.name for a in listed} == {*ODD, "folder"} - {".hidden.csv", "_SUCCESS", "k.csv.tmp"}
    for arrival in listed:
        with pytest.raises(ContractBroken, match=arrival.name.split(".", maxsplit=1)[0]):
            events.read("t/s", arrival)


def test_a_name_that_is_no_text_holds_nothing_up(tmp_path: Path) -> None:
    """A file whose name no text can hold is named as well as can be, and refused."""
    folder, events = tmp_path / "t/s", FolderEventSource(root=str(tmp_path), still_seconds=0)
    folder.mkdir(parents=True)
    (folder / "good.csv").write_bytes(b"id\n1")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.csv")).write_bytes(b"id\n2")
    found = {a.name: a for a in events.arrivals("t/s")}
    assert set(found) == {"good.csv", "bad\\xff.csv"}
    with pytest.raises(ContractBroken, match="rename"):
        events.read("t/s", found["bad\\xff.csv"])


def test_polling_many_files_is_cheap_and_one_more_costs_no_more(events: FolderEventSource, tmp_path: Path) -> None:
    """600 files that were seen before are listed in a few milliseconds; the log grows by a line a file."""
    folder = tmp_path / "landing/t/s"
    _old_folder(folder, 600)
    assert len(events.arrivals("t/s")) == 600
    size, start = (folder / LOG).stat().st_size, time.process_time()
    assert len(events.arrivals("t/s")) == 600
    assert time.process_time() - start < 0.2
    events.lay("t/s", "new.csv", b"id\nnew", MORNING)
    assert len(events.arrivals("t/s")) == 601
    assert (folder / LOG).stat().st_size - size < 300


def test_a_new_process_reads_the_log_without_a_call_a_line(tmp_path: Path) -> None:
    """What arrived before is read all at once: as many calls after two thousand files as after twenty."""
    counts = []
    for files in (20, 2_000):
        folder = tmp_path / str(files)
        folder.mkdir()
        ArrivalLog(folder).add(
            [FileState(f"{n}.csv", n, n, hashlib.sha256(b"%d" % n).hexdigest()) for n in range(files)]
        )
        counts.append(_calls(ArrivalLog(folder).catch_up))
    assert counts[0] == counts[1] < 100


def _calls(what: Callable[[], list[LoggedFile]]) -> int:
    """Count the functions that are called, Python's own among them."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        assert what()
    finally:
        sys.setprofile(None)
    return calls


def test_an_open_quote_does_not_swallow_the_file() -> None:
    """A row whose quote is never closed is malformed; the rows after it are read."""
    rows = read_rows(b'a,b\n"open,1\n2,3\n\n4,5\n', "f.csv").to_pydict()
    assert (rows["_line"], rows["a"]) == ([2, 3, 5], [None, "2", "4"])
    assert rows["_malformed"] == ['"open,1', None, None]


def test_a_quote_inside_a_field_is_a_quote() -> None:
    """Inches are written with a quote that opens nothing."""
    assert read_rows(b'a,b\n15" PLATE,1\n', "f.csv")["a"].to_pylist() == ['15" PLATE']


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=5)


@settings(deadline=None, max_examples=repeats(50))
@given(st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=8))
def test_what_was_written_is_read(table: list[list[str]]) -> None:
    """Any text survives the trip through a file, with commas, quotes and line breaks in it; empty becomes null."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["a", "b", "c"], *table])
    rows = read_rows(file.getvalue().encode(), "f.csv")
    assert rows["_malformed"].null_count == len(rows)
    read = zip(*(rows[name].to_pylist() for name in "abc"), strict=True)
    assert [list(row) for row in read] == [[field or None for field in row] for row in table]


@settings(deadline=None, max_examples=repeats(100))
@given(st.text(st.sampled_from('ab,"\n\r'), max_size=30))
def test_no_line_is_lost(body: str) -> None:
    """Whatever stands in a file, each line that is not blank is in some row, as fields or as raw text."""
    rows = read_rows(f"x,y\n{body}".encode(), "f.csv").to_pylist()
    found = "".join((row["_malformed"] or "") + (row["x"] or "") + (row["y"] or "") for row in rows)
    assert [found.count(letter) for letter in "ab"] == [body.count(letter) for letter in "ab"]
    assert [row["_line"] for row in rows] == sorted({row["_line"] for row in rows})


def _old_folder(folder: Path, files: int) -> None:
    """Make a folder of files that nobody has touched for long."""
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number}.csv").write_bytes(b"id\n%d" % number)
        _date(folder / f"{number}.csv", MORNING + timedelta(seconds=number))


def _date(path: Path, instant: datetime = MORNING) -> None:
    os.utime(path, (instant.timestamp(),) * 2)


def test_a_folder_that_stands_still_is_not_listed(
    events: FolderEventSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll costs nothing then; where a folder does not say that it changed, all names are listed once in a while."""
    folder = tmp_path / "landing/t/s"
    _old_folder(folder, 2)
    events.arrivals("t/s")  # it leaves its own marks in the folder
    _date(folder)
    assert len(events.arrivals("t/s")) == 2
    (folder / "new.csv").write_bytes(b"id\nnew")
    _date(folder / "new.csv")
    _date(folder)
    assert len(events.arrivals("t/s")) == 2, "the folder says that nothing changed"
    monkeypatch.setattr(landing_folder, "SWEEP_SECONDS", 0.0)
    assert len(events.arrivals("t/s")) == 3
    monkeypatch.undo()
    (folder / "newer.csv").write_bytes(b"id\nnewer")
    _date(folder / "newer.csv")
    assert len(events.arrivals("t/s")) == 4, "it changed just now"


def test_a_file_that_is_written_anew_among_many_is_seen(
    events: FolderEventSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once among the last that came, else when all are looked at: by whom it is due, or who begins and it is old."""
    folder = tmp_path / "landing/t/s"
    monkeypatch.setattr(landing_folder, "FEW", 3)
    _old_folder(folder, 9)
    ids = {a.name: a.arrival_id for a in events.arrivals("t/s")}
    for name in ("0.csv", "8.csv"):
        (folder / name).write_bytes(b"id\nanew")
        _date(folder / name)
    began = FolderEventSource(root=events.root)
    for each in (events, began):
        changed = {a.name for a in each.arrivals("t/s") if a.arrival_id != ids[a.name]}
        assert changed == {"8.csv"}, "all were looked at just now"
    for hours in (-1, 1):  # nobody has for long, or the clock is another one's
        _date(folder / landing_folder.SWEPT, datetime.now(UTC) + timedelta(hours=hours))
        found = FolderEventSource(root=events.root).arrivals("t/s")
        assert {a.name for a in found if a.arrival_id != ids[a.name]} == {"0.csv", "8.csv"}
    told = {a.name for a in events.arrivals("t/s") if a.arrival_id != ids[a.name]}
    assert told == {"0.csv", "8.csv"}, "another process has seen it, and says so in the log"


def test_somebody_elses_lines_in_the_log_hold_nothing_up(events: FolderEventSource, tmp_path: Path) -> None:
    """Lines that are no arrivals are passed over, each by itself; what the others say holds."""
    folder = tmp_path / "landing/t/s"
    _old_folder(folder, 3)
    ids = [a.arrival_id for a in events.arrivals("t/s")]
    good = (folder / LOG).read_bytes()
    for odd in (
        b"null\n",
        b"\n",
        b"],[\n",
        b'{"name": null}\n',
        b"\xff\n",
        b'{"name": [1], "size": 1, "mtime_ns": 1, "sha256": "", "id": ""}\n',
    ):
        (folder / LOG).write_bytes(odd + good + odd)
        assert [a.arrival_id for a in FolderEventSource(root=events.root).arrivals("t/s")] == ids


def test_what_is_known_may_grow_between_two_looks(events: FolderEventSource, tmp_path: Path) -> None:
    """Nothing changed, and it is what it was; what lands, comes, changes or goes shows at once."""
    folder, landed = tmp_path / "landing/t/s", {}
    _old_folder(folder, 3)
    ids = {a.name: a.arrival_id for a in events.arrivals("t/s")}

    def names() -> list[str]:
        return [arrival.name for arrival in events.arrivals("t/s", known=LandedIds(landed))]

    assert names() == names() == ["0.csv", "1.csv", "2.csv"]
    landed[application(ids["1.csv"])] = 1
    assert names() == names() == ["0.csv", "2.csv"]
    (folder / "0.csv").unlink()
    events.lay("t/s", "3.csv", b"id\n3", MORNING - timedelta(hours=1))
    assert names() == names() == ["3.csv", "2.csv"]
    (folder / "2.csv").write_bytes(b"id\n1")  # what landed under another name, under its own
    _date(folder / "2.csv")
    assert names() == ["3.csv", "2.csv"]
    assert LandedIds(landed) != LandedIds(dict(landed))
    assert list(LandedIds(landed)) == [ids["1.csv"]]
    assert len(LandedIds(landed)) == 1


def test_a_replay_s_file_comes_whole_with_the_time_that_it_had(tmp_path: Path) -> None:
    """What a replay lays down is listed at once, though nobody waits for it to be still."""
    source = FolderEventSource(root=str(tmp_path))
    at = datetime(2010, 7, 2, 2, tzinfo=UTC)
    source.lay("shop/orders", "a.csv", b"n\n1\n", at)
    (arrival,) = source.arrivals("shop/orders")
    assert (arrival.name, arrival.arrived_at) == ("a.csv", at)


CSV = b'id,name\r\n1,"ann\r\nof 7"\r\n2,ben\r\nodd\r\n3,"ann"\r\n4,dee'
JSONL = b'{"id": 1, "name": "ann"}\n\n{"id": 2, "name": "ben"}\nodd\n{"id": 3, "name": "ann"}\n{"id": 4, "name": "dee"}'


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.ndjson.zst", "a.parquet", "a.pq.gz"])
def test_lines_are_taken_out_of_any_kind_of_file(events, tmp_path, name) -> None:
    """Rows of several lines go whole; all others are as they were, byte by byte where the file is text."""
    folder, sink = tmp_path / "landing/shop/any", io.BytesIO()
    parquet.write_table(pa.table({"id": [1, 2, 3, 4], "name": ["ann", "ben", "ann", "dee"]}), sink)
    content = sink.getvalue() if ".p" in name else CSV if "csv" in name else JSONL
    events.lay("shop/any", name, PACKED.get(Path(name).suffix, bytes)(content), MORNING)
    (arrival,) = events.arrivals("shop/any")
    rows = events.read("shop/any", arrival).to_pylist()
    lines = {row["_line"] for row in rows if (row["name"] or "").startswith("ann")}
    assert len(lines) == 2
    told: list[str] = []
    events.redact("shop/any", arrival, lines, told.append)
    (left,) = events.arrivals("shop/any")
    assert (told, left.arrived_at) == ([left.arrival_id], arrival.arrived_at)
    kept = events.read("shop/any", left).to_pylist()
    assert [row["id"] for row in kept if row["id"]] == ["2", "4"]
    assert [row["_malformed"] for row in kept if row["_malformed"]] == ([] if ".p" in name else ["odd"])
    if name == "a.csv":
        assert (folder / name).read_bytes() == CSV.replace(b'1,"ann\r\nof 7"\r\n', b"").replace(b'3,"ann"\r\n', b"")
    assert b"ann" not in (folder / name).read_bytes()
    assert sorted(each.name for each in folder.iterdir() if not each.name.startswith(".arrivals")) == [name]


def test_what_changed_meanwhile_is_left_alone(events, tmp_path) -> None:
    """Another file under the name, or none, is nobody's to write."""
    file = tmp_path / "landing/shop/any/a.csv"
    events.lay("shop/any", "a.csv", b"id\n1\n2\n", MORNING)
    (arrival,) = events.arrivals("shop/any")
    file.write_text("id\n3\n4\n")
    events.redact("shop/any", arrival, {2}, pytest.fail)
    assert file.read_text() == "id\n3\n4\n"
    file.unlink()
    events.redact("shop/any", arrival, {2}, pytest.fail)
