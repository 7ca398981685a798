"""Files in a folder keep the event source's promises."""

from __future__ import annotations

import csv
import io
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.platform_core.errors import NotFound
from loopline.platform_core.testing.event_source import MORNING, Delivery, EventSourceKit
from loopline.resources.folder.csv_rows import read_rows
from loopline.resources.folder.event_source import HASHES, FolderEventSource


class FolderDelivery(Delivery):
    """Writes files as a careful sender does: under another name first."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Rename the file when it is written, and set its time."""
        self.unfinished(source, name, content)
        draft = self.root / source / f"{name}.csv.tmp"
        os.utime(draft, (arrived_at.timestamp(), arrived_at.timestamp()))
        draft.rename(self.root / source / f"{name}.csv")

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Write under the name that says so, and under other such names."""
        folder = self.root / source
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in (f"{name}.csv.tmp", f".{name}.csv", f"{name}.csv.part"):
            (folder / unfinished).write_bytes(content)

    def holds(self, source: str, name: str) -> bool:
        """Look for the file."""
        return (self.root / source / f"{name}.csv").exists()


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


def test_a_new_process_does_not_read_every_file_again(
    events: FolderEventSource, deliver: FolderDelivery, tmp_path: Path
) -> None:
    """Hashes are kept beside the files, as long as size and time are the same."""
    deliver.whole("t/s", "a", b"id\n1", MORNING)
    first = events.arrivals("t/s")
    (tmp_path / "landing/t/s/a.csv").write_bytes(b"id\n2")
    os.utime(tmp_path / "landing/t/s/a.csv", (MORNING.timestamp(), MORNING.timestamp()))
    assert FolderEventSource(root=events.root).arrivals("t/s") == first
    (tmp_path / "landing/t/s" / HASHES).write_text("no JSON")
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


def test_polling_many_files_is_cheap(events: FolderEventSource, deliver: FolderDelivery) -> None:
    """600 files that were seen before are listed in a few milliseconds."""
    for number in range(600):
        deliver.whole("t/s", str(number), b"id\n%d" % number, MORNING)
    assert len(events.arrivals("t/s")) == 600
    start = time.perf_counter()
    assert len(events.arrivals("t/s")) == 600
    assert time.perf_counter() - start < 0.2


def test_an_open_quote_does_not_swallow_the_file() -> None:
    """A row whose quote is never closed is malformed; the rows after it are read."""
    rows = read_rows(b'a,b\n"open,1\n2,3\n\n4,5\n', "f.csv").to_pydict()
    assert (rows["_line"], rows["a"]) == ([2, 3, 5], [None, "2", "4"])
    assert rows["_malformed"] == ['"open,1', None, None]


def test_a_quote_inside_a_field_is_a_quote() -> None:
    """Inches are written with a quote that opens nothing."""
    assert read_rows(b'a,b\n15" PLATE,1\n', "f.csv")["a"].to_pylist() == ['15" PLATE']


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=5)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=8))
def test_what_was_written_is_read(table: list[list[str]]) -> None:
    """Any text survives the trip through a file, with commas, quotes and line breaks in it; empty becomes null."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["a", "b", "c"], *table])
    rows = read_rows(file.getvalue().encode(), "f.csv")
    assert rows["_malformed"].null_count == len(rows)
    read = zip(*(rows[name].to_pylist() for name in "abc"), strict=True)
    assert [list(row) for row in read] == [[field or None for field in row] for row in table]


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from('ab,"\n\r'), max_size=30))
def test_no_line_is_lost(body: str) -> None:
    """Whatever stands in a file, each line that is not blank is in some row, as fields or as raw text."""
    rows = read_rows(f"x,y\n{body}".encode(), "f.csv").to_pylist()
    found = "".join((row["_malformed"] or "") + (row["x"] or "") + (row["y"] or "") for row in rows)
    assert [found.count(letter) for letter in "ab"] == [body.count(letter) for letter in "ab"]
    assert [row["_line"] for row in rows] == sorted({row["_line"] for row in rows})
