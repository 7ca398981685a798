"""A table that nobody wrote to is not opened again, and whatever anybody does to it is seen at once."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from loopline.resources.delta.glances import SETTLED_NS, Glances
from loopline.resources.delta.lake import DeltaLake

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "shop/raw/orders"
ROWS = pa.table({"id": [1, 2]})


@pytest.fixture
def root(tmp_path) -> Path:
    """Give the folder of two lakes, as two processes have them."""
    return tmp_path / "lake"


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Count how often a table is opened."""
    seen: list[str] = []
    own = DeltaLake._at
    monkeypatch.setattr(DeltaLake, "_at", lambda self, folder: seen.append(folder) or own(self, folder))
    return seen


def settle(root: Path) -> None:
    """Let the log's folder have changed long ago."""
    log = root / TABLE / "_delta_log"
    long_ago = log.stat().st_mtime_ns - 10 * SETTLED_NS
    os.utime(log, ns=(long_ago, long_ago))


def quiet(root: Path) -> DeltaLake:
    """Give a lake that knows the table, and trusts its folder's time."""
    lake = DeltaLake(root=str(root))
    lake.append(TABLE, ROWS, {"first": 1})
    settle(root)
    for _ in range(2):
        assert lake.version(TABLE) == 0
        assert lake.committed(TABLE, ["first", "second"]) == {"first": 1}
    return lake


def test_a_quiet_table_is_not_opened(root, opened):
    """However often it is asked about."""
    lake = quiet(root)
    opened.clear()
    for _ in range(100):
        assert lake.version(TABLE) == 0
        assert lake.committed(TABLE, ["first", "second"]) == {"first": 1}
    assert opened == []


def test_a_table_that_has_just_changed_is_opened_each_time(root, opened):
    """Two commits may bear one time: until it is old enough it proves nothing."""
    lake = DeltaLake(root=str(root))
    lake.append(TABLE, ROWS)
    opened.clear()
    assert [lake.version(TABLE) for _ in range(3)] == [0] * 3
    assert len(opened) == 3


CHANGES: list[Callable[[Path], object]] = [
    lambda root: DeltaLake(root=str(root)).append(TABLE, ROWS, {"second": 2}),
    lambda root: [DeltaLake(root=str(root)).append(TABLE, ROWS, {"second": n}) for n in (1, 2)],
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_another_process_commits_is_seen_at_once(root, change):
    """Its version and its transactions."""
    lake = quiet(root)
    change(root)
    assert lake.version(TABLE) == DeltaLake(root=str(root)).version(TABLE) != 0
    assert lake.committed(TABLE, ["first", "second"]) == {"first": 1, "second": 2}


def test_a_table_that_is_gone_or_begun_anew_is_seen_at_once(root):
    """Also when the new one is at the very version of the old one."""
    lake = quiet(root)
    shutil.rmtree(root / TABLE)
    assert lake.version(TABLE) is None
    assert lake.committed(TABLE, ["first"]) == {}
    lake = quiet(root)
    shutil.rmtree(root / TABLE)
    DeltaLake(root=str(root)).append(TABLE, ROWS, {"other": 5})
    assert lake.version(TABLE) == 0
    assert lake.committed(TABLE, ["first", "other"]) == {"other": 5}


def test_tidying_is_seen(root):
    """It leaves no table unseen, and what was committed is known afterwards."""
    lake = quiet(root)
    for number in range(3):
        DeltaLake(root=str(root)).append(TABLE, ROWS, {f"more{number}": number})
    DeltaLake(root=str(root)).tidy(TABLE, [], timedelta(0))
    assert lake.version(TABLE) == DeltaLake(root=str(root)).version(TABLE)
    assert lake.committed(TABLE, ["first", "more2"]) == {"first": 1, "more2": 2}


def test_a_store_that_is_no_folder_is_asked_each_time():
    """Of an object store nothing can be glanced at."""
    glances = Glances()
    glances.note("s3://bucket/table", glances.changed_ns("s3://bucket/table"), 3)
    assert glances.version("s3://bucket/table") is None
