"""The prediction log: nothing whole is lost, nothing torn is read."""

from __future__ import annotations

import errno
import json
import struct
import zlib
from pathlib import Path

import msgspec
import pytest

from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.platform_core.runtime.prediction_log import log as logs
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record, log_folder
from loopline.platform_core.runtime.prediction_log.log_table import end_after, read_after, schema
from tests.platform_core.runtime.conftest import MODEL, no_room_beyond


def record(request_id="r", rows=1, **changes):
    """Make a record of some rows."""
    lists = {"scores": [n / 10 for n in range(rows)], "keys": [f'{{"customer_id":{n}}}' for n in range(rows)]}
    lists |= {"features": ['{"amount":1.0}'] * rows, "missing": [[]] * rows, "stale": [[]] * rows}
    whole = Record(request_id, 1_000_000, 2_000_000, "3", "c", "stable", 200, 0.5, asked_at_us=1_999_000, **lists)
    return msgspec.structs.replace(whole, **changes)


def read(file):
    """Read a file in small batches."""
    records, offset = [], 0
    for batch, offset in logs.read(file, most=2):  # noqa: B007 - the last offset is the answer
        records += batch
    return records, offset


@pytest.fixture
def log(tmp_path):
    """Give a log with one worker."""
    opened = PredictionLog(tmp_path, "w")
    yield opened
    opened.close()


def the_file(tmp_path):
    """Return the only segment."""
    (file,) = log_folder(tmp_path, MODEL).iterdir()
    return file


def test_a_record_comes_back_as_rows(tmp_path, log):
    """One row an entity, in the columns of the serving contract."""
    log.write(MODEL, record("a", rows=2, missing=[["v"], []], stale=[[], ["w"]]))
    log.write(MODEL, record("b", status=500, scores=None))
    table, _ = read_after(tmp_path, MODEL, None)
    assert table.schema == schema()
    rows = table.to_pylist()
    assert [(r["request_id"], r["row"], r["score"], r["status"], r["missing"], r["stale"]) for r in rows] == [
        ("a", 0, 0.0, 200, ["v"], []),
        ("a", 1, 0.1, 200, [], ["w"]),
        ("b", 0, None, 500, [], []),
    ]
    assert [json.loads(r["keys"]) for r in rows] == [{"customer_id": 0}, {"customer_id": 1}, {"customer_id": 0}]
    assert rows[0]["event_time"].isoformat() == "1970-01-01T00:00:01+00:00"
    assert rows[0]["logged_at"].isoformat() == "1970-01-01T00:00:02+00:00"
    assert rows[0]["asked_at"].isoformat() == "1970-01-01T00:00:01.999000+00:00"


def test_frames_of_before_a_field_was_kept_are_read(tmp_path):
    """A log written by an earlier version has fewer fields; they are null in each of its rows."""
    old = list(msgspec.structs.astuple(record("a", rows=2)))[:12]
    payload = msgspec.msgpack.encode(old)
    folder = log_folder(tmp_path, MODEL)
    folder.mkdir(parents=True)
    frame = struct.pack("<4sII", b"LPF1", len(payload), zlib.crc32(payload)) + payload
    folder.joinpath("w-000000.frames").write_bytes(frame)
    table, _ = read_after(tmp_path, MODEL, None)
    assert table.schema == schema()
    assert [(r["row"], r["missing"], r["stale"], r["asked_at"]) for r in table.to_pylist()] == [
        (0, [], None, None),
        (1, [], None, None),
    ]


def test_nothing_logged_is_an_empty_table(tmp_path):
    """A model that nobody asked has no rows, and a cursor all the same."""
    table, cursor = read_after(tmp_path, MODEL, None)
    assert (table.num_rows, table.schema) == (0, schema())
    assert read_after(tmp_path, MODEL, cursor)[0].num_rows == 0


def test_a_log_cut_anywhere_gives_every_whole_record(tmp_path, log):
    """Three records cut at each byte: those that are whole are read, and the cursor waits before the torn one."""
    ends = []
    for n in range(3):
        log.write(MODEL, record(f"r{n}"))
        ends.append(the_file(tmp_path).stat().st_size)
    data = the_file(tmp_path).read_bytes()
    cut = tmp_path / "cut"
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        whole = [end for end in ends if end <= size]
        records, offset = read(cut)
        assert [r.request_id for r in records] == [f"r{n}" for n in range(len(whole))]
        assert offset == (whole[-1] if whole else 0)


def test_a_torn_record_in_the_middle_is_stepped_over(tmp_path, log):
    """Whatever byte of the second record is wrong, the first and the third are read."""
    sizes = [0]
    for n in range(3):
        log.write(MODEL, record(f"r{n}"))
        sizes.append(the_file(tmp_path).stat().st_size)
    data = the_file(tmp_path).read_bytes()
    torn = tmp_path / "torn"
    for place in range(sizes[1], sizes[2]):
        torn.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        records, offset = read(torn)
        assert [r.request_id for r in records] == ["r0", "r2"]
        assert offset == len(data)


def test_a_record_read_while_it_is_written_is_read_once(tmp_path, log):
    """The cursor goes on where the last whole record ended."""
    log.write(MODEL, record("r0"))
    file = the_file(tmp_path)
    first = file.read_bytes()
    table, cursor = read_after(tmp_path, MODEL, None)
    log.write(MODEL, record("r1"))
    both = file.read_bytes()
    file.write_bytes(both[: len(first) + 7])
    half, cursor = read_after(tmp_path, MODEL, cursor)
    file.write_bytes(both)
    rest, cursor = read_after(tmp_path, MODEL, cursor)
    assert [t["request_id"].to_pylist() for t in (table, half, rest)] == [["r0"], [], ["r1"]]


def test_the_end_is_where_reading_would_have_come_to(tmp_path, log, monkeypatch):
    """Two records cut at each byte, from any cursor: what is torn or still being written lies behind the end."""
    for n in range(2):
        log.write(MODEL, record(f"r{n}", rows=1 + n))
    file = the_file(tmp_path)
    data, cursors = file.read_bytes(), {None}
    for size in range(len(data) + 1):
        file.write_bytes(data[:size])
        reached = {cursor: read_after(tmp_path, MODEL, cursor)[1] for cursor in cursors}
        for tail in (1, 40, 1 << 16):
            monkeypatch.setattr(log_table, "TAIL_BYTES", tail)
            assert {cursor: end_after(tmp_path, MODEL, cursor) for cursor in cursors} == reached
        cursors.add(reached[None])
    assert len(cursors) == 4


def test_the_end_covers_every_worker_and_what_is_gone(tmp_path):
    """Files that are there and have records, and those that the cursor names, as reading has it."""
    for worker in ("a", "b", "shadow-a"):
        PredictionLog(tmp_path, worker).write(MODEL, record(worker))
    (log_folder(tmp_path, MODEL) / "c-000000.frames").touch()
    cursor = json.dumps({"gone-000000.frames": 17})
    assert end_after(tmp_path, MODEL, cursor) == read_after(tmp_path, MODEL, cursor)[1]
    assert end_after(tmp_path, "nobody.asked", None) == "{}"


def test_to_know_the_end_little_is_read(tmp_path, log, monkeypatch):
    """However long the log, only its last frames are looked at."""
    for n in range(100):
        log.write(MODEL, record(f"r{n}"))
    size, seen, each = the_file(tmp_path).stat().st_size, [], logs.each
    monkeypatch.setattr(logs, "each", lambda file, offset: seen.append(size - offset) or each(file, offset))
    monkeypatch.setattr(log_table, "TAIL_BYTES", 1000)
    assert json.loads(end_after(tmp_path, MODEL, None)) == {the_file(tmp_path).name: size}
    assert seen == [1000]


def test_segments_roll(tmp_path):
    """A full file is followed by the next; all of them are read in order."""
    log = PredictionLog(tmp_path, "w", segment_bytes=200)
    for n in range(40):
        log.write(MODEL, record(f"r{n:02}"))
        if n == 9:
            log.sync()
            log.sync()
    log.close()
    assert len(list(log_folder(tmp_path, MODEL).iterdir())) > 9
    table, _ = read_after(tmp_path, MODEL, None)
    assert table["request_id"].to_pylist() == [f"r{n:02}" for n in range(40)]


def test_workers_and_models_have_files_of_their_own(tmp_path):
    """One model's log holds every worker's records, and no other model's."""
    logs = [PredictionLog(tmp_path, name) for name in ("w1", "w2")]
    for number, log in enumerate(logs):
        log.write(MODEL, record(f"r{number}"))
        log.write("other.model", record("other"))
        log.close()
    table, _ = read_after(tmp_path, MODEL, None)
    assert sorted(table["request_id"].to_pylist()) == ["r0", "r1"]


def test_a_cursor_that_is_none(tmp_path):
    """Somebody else's cursor is refused."""
    with pytest.raises(ContractBroken, match="no cursor"):
        read_after(tmp_path, MODEL, "17")


def test_a_full_disk_leaves_no_torn_record(tmp_path, log):
    """A record that does not fit is taken back whole, so that what fits later can be read."""
    with no_room_beyond(1_000):
        log.write(MODEL, record("fits", features=["x" * 300]))
        with pytest.raises(StoreUnavailable):
            log.write(MODEL, record("not", features=["x" * 3_000]))
        log.write(MODEL, record("again", features=["x" * 300]))
    assert read_after(tmp_path, MODEL, None)[0]["request_id"].to_pylist() == ["fits", "again"]


def test_more_models_than_files_may_be_open(tmp_path):
    """Files are closed and opened again as need be: each model has one, nothing is lost, and few stay open."""
    log = PredictionLog(tmp_path, "w", most_open=3)
    models, written = [f"team.m{n}" for n in range(6)], range(2)
    for number in written:
        for model in models:
            log.write(model, record(f"{number}"))
            log.sync()
            assert open_below(tmp_path) <= 3
        for model in models:
            log.write(model, record(f"{number} at once"))
            assert open_below(tmp_path) <= 4
    log.close()
    assert open_below(tmp_path) == 0
    for model in models:
        assert len(list(log_folder(tmp_path, model).iterdir())) == 1
        ids = read_after(tmp_path, model, None)[0]["request_id"].to_pylist()
        assert ids == [f"{number}{moment}" for number in written for moment in ("", " at once")]


def test_a_file_that_was_closed_and_taken_away_is_followed_by_another(tmp_path):
    """Somebody removed it by hand; requests are logged all the same."""
    log = PredictionLog(tmp_path, "w", most_open=1)
    log.write(MODEL, record("a"))
    log.sync()
    log.write("other.model", record("b"))
    the_file(tmp_path).unlink()
    log.write(MODEL, record("c"))
    assert read_after(tmp_path, MODEL, None)[0]["request_id"].to_pylist() == ["c"]
    assert the_file(tmp_path).name == "w-000001.frames"
    log.close()


def test_a_closed_file_goes_on_to_its_end(tmp_path):
    """Opened again it is filled as if it had stayed open, and then comes the next."""
    log = PredictionLog(tmp_path, "w", segment_bytes=200, most_open=1)
    for number in range(6):
        for model in (MODEL, "other.model"):
            log.write(model, record(f"{number}"))
            log.sync()
    log.close()
    sizes = [file.stat().st_size for file in sorted(log_folder(tmp_path, MODEL).iterdir())]
    assert len(sizes) == 3
    assert all(size >= 200 for size in sizes)
    assert read_after(tmp_path, MODEL, None)[0]["request_id"].to_pylist() == [f"{number}" for number in range(6)]


def test_too_many_open_files_are_told_as_that(tmp_path, monkeypatch):
    """Freeing the disk would not help."""

    def none_left(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(logs, "Segment", none_left)
    with pytest.raises(StoreUnavailable, match="ulimit -n"):
        PredictionLog(tmp_path, "w").write(MODEL, record())


def open_below(folder):
    """Count the files of a folder that this process has open."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.exists())
    return sum(link.resolve().is_relative_to(folder) for link in links)


def test_frames_are_cut_where_they_end(log):
    """Into pieces of so many bytes; one that is longer goes by itself, and together they are what was cut."""
    log.write_many(MODEL, [record("a"), record("b"), record("large", rows=100), record("c"), record("d")])
    (file,) = log_folder(log._root, MODEL).iterdir()
    frames, small = file.read_bytes(), 2 * len(logs._frame(record("a")))
    pieces = list(logs.cut(frames, small))
    assert [[one.request_id for one in logs.records(piece)] for piece in pieces] == [["a", "b"], ["large"], ["c", "d"]]
    assert b"".join(pieces) == frames
    assert logs.following(file, 0, small) == pieces[0]
    assert logs.following(file, small, small).startswith(pieces[1])
