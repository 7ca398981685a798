"""What goes of a log: read by everybody, old, and written by nobody; and cursors that name it go on working."""

from __future__ import annotations

import json
import time

import pytest

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.prediction_log.log import PredictionLog, Record, log_folder
from loopline.platform_core.runtime.prediction_log.log_table import read_after
from loopline.platform_core.runtime.retention import trim
from loopline.platform_core.runtime.states import Worker

MODEL = "retail.cancellations"
DAY = 86_400.0


def record(name):
    """Make a record of one row."""
    return Record(name, 1, 1, "1", "c", "stable", 200, 0.1, [0.5], ["{}"], ["{}"], [[]])


class Log:
    """A model's log and what time it is, in days after its records were written."""

    def __init__(self, root):
        self.root = root

    def write(self, worker, *names):
        """Write one file for each name."""
        log = PredictionLog(self.root, worker, segment_bytes=1)
        for name in names:
            log.write(MODEL, record(name))
        return log

    def read(self, cursor=None):
        """Read the ids after a cursor, and the next cursor."""
        rows, cursor = read_after(self.root, MODEL, cursor)
        return rows["request_id"].to_pylist(), cursor

    def trim(self, *cursors, days=8.0, keep_days=7.0):
        """Trim some days later."""
        return trim(self.root, MODEL, cursors, keep_days * DAY, time.time() + days * DAY)

    @property
    def files(self):
        return sorted(file.name for file in log_folder(self.root, MODEL).iterdir())


@pytest.fixture
def log(tmp_path):
    """Give a log."""
    return Log(tmp_path)


def test_what_is_read_and_old_goes(log):
    """Of a worker that is dead all files go; the cursor goes on working, and a new one names nothing twice."""
    log.write("w1", "a", "b").close()
    ids, cursor = log.read()
    assert ids == ["a", "b"]
    assert log.trim(cursor) == ["w1-000000.frames", "w1-000001.frames"]
    assert log.read(cursor)[0] == []
    log.write("w2", "c").close()
    ids, later = log.read(cursor)
    assert ids == ["c"]
    assert log.read(later)[0] == []


def test_what_is_young_stays(log):
    """By the machine's clock, to the second."""
    log.write("w1", "a").close()
    cursor = log.read()[1]
    assert log.trim(cursor, days=6.99) == []
    assert log.trim(cursor, days=7.01) == ["w1-000000.frames"]


def test_what_one_reader_has_still_to_read_stays(log):
    """A rollout that began before the last file was written keeps that file, though the lake has it."""
    log.write("w1", "a").close()
    rollout = log.read()[1]
    log.write("w2", "b").close()
    lake = log.read()[1]
    assert log.trim(lake, rollout) == ["w1-000000.frames"]
    assert log.read(rollout)[0] == ["b"]


def test_nobody_who_reads_keeps_everything(log):
    """Without a cursor nothing is known to be read."""
    log.write("w1", "a").close()
    assert log.trim() == []
    with pytest.raises(ContractBroken):
        log.trim("17")


def test_a_file_half_read_stays(log, tmp_path):
    """One record more, and it is not read."""
    log.write("w1", "a").close()
    cursor = log.read()[1]
    file = log_folder(tmp_path, MODEL) / "w1-000000.frames"
    whole = file.read_bytes()
    file.write_bytes(whole + whole)
    assert log.trim(cursor) == []
    assert log.trim(log.read()[1]) == ["w1-000000.frames"]


def test_a_torn_end_does_not_keep_a_file_for_ever(log, tmp_path):
    """Its writer is dead, so nobody completes what was answered to nobody."""
    log.write("w1", "a").close()
    file = log_folder(tmp_path, MODEL) / "w1-000000.frames"
    file.write_bytes(file.read_bytes() + b"LPF1\xff\x00\x00\x00torn")
    assert log.trim(log.read()[1]) == ["w1-000000.frames"]


def test_the_file_that_a_living_worker_writes_stays(log, tmp_path):
    """However long nobody asked: the next record would be written into a file that is gone."""
    worker = Worker(tmp_path, "w1")
    writer = log.write("w1", "a", "b")
    assert log.trim(log.read()[1]) == ["w1-000000.frames"]
    writer.write(MODEL, record("c"))
    assert log.read()[0] == ["b", "c"]
    writer.close()
    worker.leave()
    assert log.trim(log.read()[1]) == ["w1-000001.frames", "w1-000002.frames"]


def test_while_a_model_has_a_shadow_nothing_goes(log, tmp_path):
    """How far the shadow has come stands in the files."""
    log.write("w1", "a").close()
    cursor = log.read()[1]
    live = Served("1", tmp_path, "c")
    shadow_log.begin(tmp_path, DesiredState(MODEL, 1, live, shadow=Served("2", tmp_path, "c")))
    assert log.trim(cursor) == []
    shadow_log.begin(tmp_path, DesiredState(MODEL, 2, live))
    assert log.trim(cursor) == ["w1-000000.frames"]


def test_a_file_that_goes_while_it_is_read(log, tmp_path, monkeypatch):
    """Whoever lists the folder a moment before loses nothing that it has not read."""
    log.write("w1", "a").close()
    cursor = log.read()[1]
    log.write("w2", "b").close()
    listed = sorted(log_folder(tmp_path, MODEL).glob("*"))
    log.trim(cursor)
    monkeypatch.setattr("pathlib.Path.glob", lambda *_: listed)
    assert log.read(cursor)[0] == ["b"]


def test_other_models_stay(log, tmp_path):
    """A log is one model's."""
    log.write("w1", "a").close()
    other = PredictionLog(tmp_path, "w1")
    other.write("other.model", record("o"))
    other.close()
    cursor = json.dumps(dict.fromkeys((file.name for file in log_folder(tmp_path, MODEL).iterdir()), 10_000))
    log.trim(cursor)
    assert len(list(log_folder(tmp_path, "other.model").iterdir())) == 1


def test_a_shadow_may_begin_while_files_go(tmp_path):
    """A file that is trimmed between being listed and being looked at is none of a shadow's; the others' ends are."""
    log = PredictionLog(tmp_path, "w")
    log.write(MODEL, record("r"))
    folder = log_folder(tmp_path, MODEL)
    folder.joinpath("gone-000000.frames").symlink_to(folder / "nowhere")
    shadow_log.begin(tmp_path, DesiredState(MODEL, 1, Served("1", tmp_path, "c"), shadow=Served("2", tmp_path, "c")))
    log.close()
    (begun,) = shadow_log.begun(tmp_path, MODEL)
    assert (begun.version, begun.offsets) == (
        "2",
        {"w-000000.frames": folder.joinpath("w-000000.frames").stat().st_size},
    )


def test_a_file_that_was_closed_to_make_room_stays(log):
    """Its writer lives, and opens it again for the next request."""
    worker = Worker(log.root, "w1")
    writer = PredictionLog(log.root, "w1", most_open=1)
    writer.write(MODEL, record("a"))
    writer.sync()
    writer.write("other.model", record("x"))
    cursor = log.read()[1]
    assert log.trim(cursor) == []
    writer.write(MODEL, record("b"))
    assert log.read(cursor)[0] == ["b"]
    writer.close()
    worker.leave()
    assert log.trim(log.read(cursor)[1]) == ["w1-000000.frames"]
