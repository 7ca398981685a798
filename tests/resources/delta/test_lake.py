"""Delta tables keep the lake's promises, under kill too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from platform_core.errors import ContractBroken, StoreUnavailable
from platform_core.testing.lake import LakeKit, numbered, numbers
from resources.delta.lake import DeltaLake

WRITER = """
import sys
from platform_core.testing.lake import numbered
from resources.delta.lake import DeltaLake
lake = DeltaLake(root=sys.argv[1])
start = lake.committed("a/raw/b", ["app"]).get("app", -1) + 1
print("ready", flush=True)
for n in range(start, 1_000):
    lake.append("a/raw/b", numbered(n), {"app": n})
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Name a folder that is not there yet."""
    return str(tmp_path / "lake")


@pytest.fixture
def lake(root: str) -> DeltaLake:
    """Open a lake."""
    return DeltaLake(root=root)


@pytest.fixture
def opened_anew(root: str) -> DeltaLake:
    """Open the same lake again."""
    return DeltaLake(root=root)


class TestDeltaLake(LakeKit):
    """Every promise of the contract."""


def test_tables_are_partitioned_by_date(lake: DeltaLake, root: str) -> None:
    """The files of a day lie in a folder of its own; a table without the column is not partitioned."""
    lake.append("t/raw/a", numbered(1, day=5))
    lake.append("t/raw/b", numbered(1).drop_columns("_date"))
    assert DeltaTable(f"{root}/t/raw/a").metadata().partition_columns == ["_date"]
    assert DeltaTable(f"{root}/t/raw/b").metadata().partition_columns == []
    assert lake.tables() == ["t/raw/a", "t/raw/b"]


def test_a_number_is_not_kept_as_text(lake: DeltaLake) -> None:
    """A column of another type is refused by name, though delta-rs would cast what it can."""
    lake.append("t/raw/a", numbered(1))
    with pytest.raises(ContractBroken, match=r"column 'n' is int64 in the table and string in the rows"):
        lake.append("t/raw/a", numbered(2).set_column(0, "n", [["2"]]))


def test_a_store_that_cannot_be_written_is_worth_another_try(lake: DeltaLake, root: str) -> None:
    """A path that is no folder is the store's trouble, not the rows'."""
    Path(root).write_text("no folder")
    with pytest.raises(StoreUnavailable, match="t/raw/a"):
        lake.append("t/raw/a", numbered(1))


def test_a_killed_writer_loses_and_doubles_nothing(lake: DeltaLake, root: str) -> None:
    """After each kill -9 the rows are exactly those whose transactions are committed."""
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, root], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        before = lake.committed("a/raw/b", ["app"]).get("app", -1)
        while lake.committed("a/raw/b", ["app"]).get("app", -1) < before + 5:
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        newest = lake.committed("a/raw/b", ["app"])["app"]
        assert numbers(lake, "a/raw/b") == list(range(newest + 1))
