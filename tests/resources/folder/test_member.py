"""Members of a group over a folder answer exactly once, whoever is killed between a commit and its lines."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import CommitConflict, Refused
from loopline.platform_core.testing.event_stream import new_stream, published, read
from loopline.platform_core.testing.event_stream_groups import (
    EventStreamGroupsKit,
    answer,
    numbers,
    published_numbers,
    taken,
)
from loopline.resources.folder import member as members
from loopline.resources.folder.event_stream import FolderEventStream


@pytest.fixture
def events(tmp_path: Path) -> FolderEventStream:
    """Write three files a stream."""
    return FolderEventStream(root=str(tmp_path / "streams"), partitions=3)


class TestFolderGroups(EventStreamGroupsKit):
    """Every promise about groups."""

    tested_on = "disk"


@pytest.mark.parametrize("written", [0, 1, 1_000])
def test_who_comes_after_a_kill_appends_what_is_missing(
    events: FolderEventStream, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a commit whose lines were not, or half, appended; others have published to the same files meanwhile."""
    stream, out, group = published(events, 20), new_stream(), uuid.uuid4().hex
    first = events.join(stream, group)
    rows = taken(first, 20)

    def killed(file: object, text: bytes) -> None:
        own = text.splitlines(keepends=True)
        torn = b'{"at": 1, "value": "torn' if written < len(own) else b""
        file.write(b"".join(own[:written]) + torn)
        file.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members.lines, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            first.commit({out: answer(rows)})
    first.close()
    events.publish(out, [Record(b"%d" % n, b"key %d" % (n % 7)) for n in range(100, 120)])
    second = events.join(stream, group)
    assert second.take(99).num_rows == 0
    assert numbers(read(events, out)) == [*range(20), *range(100, 120)]
    assert second.take(99).num_rows == 0
    assert numbers(read(events, out)) == [*range(20), *range(100, 120)]
    second.close()


def test_a_member_that_was_overtaken_commits_nothing(events: FolderEventStream) -> None:
    """Another one came, took the same records, committed and left, all while the first was asleep."""
    stream, out, group = published(events, 20), new_stream(), uuid.uuid4().hex
    first = events.join(stream, group)
    rows = taken(first, 20)
    second = events.join(stream, group)
    theirs = second.take(99).to_pylist()
    second.commit({out: answer(theirs)})
    second.close()
    with pytest.raises(CommitConflict):
        first.commit({out: answer(rows)})
    rest = first.take(99).to_pylist()
    first.commit({out: answer(rest)})
    assert theirs
    assert published_numbers(events, out) == list(range(20))
    first.close()


def test_a_name_belongs_to_one(events: FolderEventStream) -> None:
    """Two that live cannot share it; once the first is gone, it is free."""
    stream = published(events, 3)
    first = events.join(stream, "g", "a")
    with pytest.raises(Refused, match="'a' reads"):
        events.join(stream, "g", "a")
    first.close()
    events.join(stream, "g", "a").close()


def test_who_joins_while_another_looks_is_a_member(events: FolderEventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """His file was taken away between its making and its lock, and his first look fell."""
    stream, group = published(events, 6), uuid.uuid4().hex
    other = events.join(stream, group, "b")
    lock, looks = members.fcntl.flock, []

    def looked_at_first(file: object, how: int) -> None:
        if isinstance(file, int):  # the joiner's own file, made and not locked yet
            looks.append(threading.Thread(target=other.take, args=(6,)))
            looks[-1].start()
            looks[-1].join(1)  # it waits for the group until the other has joined
        lock(file, how)

    monkeypatch.setattr(members.fcntl, "flock", looked_at_first)
    joined = events.join(stream, group, "a")
    looks[0].join()
    assert joined.take(6).num_rows + other.take(6).num_rows > 0
    joined.close()
    other.close()
