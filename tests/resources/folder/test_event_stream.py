"""Lines in a folder keep the event stream's promises."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.event_stream import EventStreamKit
from loopline.resources.folder.event_stream import FolderEventStream


@pytest.fixture
def events(tmp_path: Path) -> FolderEventStream:
    """Write three files a stream."""
    return FolderEventStream(root=str(tmp_path / "streams"), partitions=3)


class TestFolderEventStream(EventStreamKit):
    """Every promise of the contract."""

    tested_on = "disk"


def test_a_torn_line_is_not_read_and_is_taken_away(events: FolderEventStream) -> None:
    """A writer that was killed in the middle of a line leaves nothing behind that anybody reads."""
    events.publish("t/s", [Record(b"one", b"key")])
    [path] = Path(events.root, "t/s").glob("*.jsonl")
    ends = events.ends("t/s")
    with path.open("ab") as file:
        file.write(b'{"at": 1, "value": "torn')
    assert events.ends("t/s") == ends
    assert events.read("t/s", {}, 9)["value"].to_pylist() == [b"one"]
    events.publish("t/s", [Record(b"two", b"key")])
    assert events.read("t/s", {}, 9)["value"].to_pylist() == [b"one", b"two"]
    assert events.read("t/s", ends, 9)["value"].to_pylist() == [b"two"]


def _publishes(root: str, number: int) -> None:
    stream = FolderEventStream(root=root, partitions=2)
    for n in range(60):
        stream.publish("t/s", [Record(f"{number} {n} {i}".encode() * 99) for i in range(5)])


def test_several_processes_publish(events: FolderEventStream) -> None:
    """Lines of writers at once never mix, and a reader at the same time sees whole ones only."""
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_publishes, args=(events.root, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    offsets: dict[int, int] = {}
    seen: list[bytes] = []
    while (rows := events.read("t/s", offsets, 1000)).num_rows or any(writer.is_alive() for writer in writers):
        seen += rows["value"].to_pylist()
        offsets |= dict(zip(rows["partition"].to_pylist(), rows["next"].to_pylist(), strict=True))
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert sorted(seen) == sorted(f"{w} {n} {i}".encode() * 99 for w in range(3) for n in range(60) for i in range(5))


def test_a_busy_partition_does_not_keep_the_others_waiting(events: FolderEventStream) -> None:
    """The limit is shared among the files that have something."""
    events.publish("t/s", [Record(b"%d" % n, b"%d" % (n if n % 10 == 0 else 1)) for n in range(300)])
    busy = max(events.ends("t/s").items(), key=lambda end: end[1])[0]
    partitions = events.read("t/s", {}, 30)["partition"].to_pylist()
    assert len(partitions) == 30
    assert partitions.count(busy) <= 15


def test_what_is_no_record_is_told_of(events: FolderEventStream) -> None:
    """A line that somebody wrote by hand, and an offset within a line."""
    events.publish("t/s", [Record(b"one", b"key")])
    [path] = Path(events.root, "t/s").glob("*.jsonl")
    with pytest.raises(ContractBroken, match="no record begins at 3"):
        events.read("t/s", {int(path.stem): 3}, 9)
    path.write_text('{"price": 3}\n')
    with pytest.raises(ContractBroken, match="the line at 0 is no record"):
        events.read("t/s", {}, 9)


def test_a_stream_s_place_is_its_folder(events: FolderEventStream, tmp_path: Path) -> None:
    """Where other tools find its files."""
    events.publish("t/s", [Record(b"one", b"key")])
    assert Path(events.place("t/s")) == tmp_path / "streams/t/s"
    assert list(Path(events.place("t/s")).glob("*.jsonl"))
