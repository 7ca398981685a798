"""Delta tables keep the lake's promises, under kill too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from itertools import combinations_with_replacement
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from loopline.platform_core.contracts.lake import Lake
from loopline.platform_core.errors import ContractBroken, NotFound, StoreUnavailable
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.lake import LakeKit, empty_beside, numbered, numbers
from loopline.resources.delta.commits import OURS
from loopline.resources.delta.lake import DeltaLake
from tests.s3_server import S3Server

WRITER = """
import sys
from loopline.platform_core.testing.lake import numbered
from loopline.resources.delta.lake import DeltaLake
lake = DeltaLake(root=sys.argv[1])
start = lake.committed("a/raw/b", ["app"]).get("app", -1) + 1
print("ready", flush=True)
for n in range(start, 1_000):
    lake.append("a/raw/b", numbered(n), {"app": n})
"""

APPENDER = """
import sys
from loopline.platform_core.testing.lake import numbered
from loopline.resources.delta.lake import DeltaLake
root, table, number = sys.argv[1:]
lake = DeltaLake(root=root, attempts=30)
for n in range(15):
    rows = numbered(1000 * int(number) + n, day=1 + n % 2)
    lake.append(table, rows, {f"w{number}": n}, after={f"w{number}": n - 1} if n else {})
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


@pytest.fixture
def elsewhere(lake: DeltaLake) -> Lake:
    """Open one that is empty."""
    return empty_beside(lake)


class TestInAFolderWithASpace(LakeKit):
    """Also where somebody's home has a space, an umlaut or a percent sign in its name."""

    tested_on = "disk"

    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        """Name the folder."""
        return str(tmp_path / "Jörg Müller" / "100% lake")


class TestDeltaLake(LakeKit):
    """Every promise of the contract."""

    tested_on = "disk"


class TestWrongSecret(CredentialsKit):
    """An S3 server that checks who asks."""

    @pytest.fixture
    def stranger(self, s3_server: S3Server, wrong_secret: str) -> DeltaLake:
        """Open a lake with it."""
        options = {**s3_server.options, "aws_allow_http": "true", "aws_secret_access_key": wrong_secret}
        bounds = {"timeout": "5s", "retry_timeout": "5s"}
        return DeltaLake(root=f"{s3_server.place()}/lake", storage_options=options | bounds)


def test_set_apart_on_an_object_store_leaves_nothing(s3_server: S3Server) -> None:
    """The tables of the place are gone with it; another one's are as they were, and nobody listed the place's."""
    lake = DeltaLake(root=f"{s3_server.place()}/lake", storage_options={**s3_server.options, "aws_allow_http": "true"})
    lake.append("t/raw/own", numbered(1))
    with lake.set_apart("loopline-kit-x") as place:
        place.append("kit/raw/a", numbered(2))
        assert (place.tables(), lake.tables()) == (["kit/raw/a"], ["t/raw/own"])
    assert place.with_settings().tables() == []
    assert numbers(lake, "t/raw/own") == [1]


def test_what_it_keeps_on_an_object_store(s3_server: S3Server, tmp_path: Path) -> None:
    """All files are counted, wherever they lie; where none is nothing is kept."""
    options = {**s3_server.options, "aws_allow_http": "true"}
    for root, known in ((f"{s3_server.place()}/lake", options), (f"{tmp_path}/lake", {})):
        lake = DeltaLake(root=root, storage_options=known)
        assert lake.kept_bytes() == 0
        lake.append("kit/raw/size", numbered(*range(1000)))
        first = lake.kept_bytes()
        lake.append("kit/raw/size", numbered(*range(1000)))
        assert 0 < first < lake.kept_bytes()


def test_tables_lie_in_months(lake: DeltaLake, root: str) -> None:
    """The files of a month lie in a folder of its own; a table without days is not parted, whatever comes later."""
    lake.append("t/raw/a", numbered(1, day=5))
    for rows in (numbered(1).drop_columns("_date"), numbered(2)):
        lake.append("t/raw/b", rows)
    assert DeltaTable(f"{root}/t/raw/a").metadata().partition_columns == ["_month"]
    assert DeltaTable(f"{root}/t/raw/b").metadata().partition_columns == []
    assert lake.read("t/raw/a").column_names == ["n", "_date"]
    assert sorted(lake.read("t/raw/b")["_date"].to_pylist(), key=str) == [date(2020, 1, 1), None]
    assert lake.tables() == ["t/raw/a", "t/raw/b"]


DAYS = (date(1, 1, 1), date(999, 12, 31), date(2019, 12, 31), date(2020, 1, 1), date(2020, 1, 31), date(9999, 12, 31))


@pytest.mark.parametrize("parted_by", ["_month", "_date"])
def test_days_are_found_however_they_lie(lake: DeltaLake, root: str, parted_by: str) -> None:
    """Also where they were written in folders of days, and beside rows without one; each bound is included."""
    table = "t/raw/a"
    days = pa.array([*DAYS, None], pa.date32())
    rows = pa.table({**{f"wide{n}": pa.nulls(len(days), pa.int64()) for n in range(40)}, "_date": days})
    if parted_by == "_date":
        write_deltalake(f"{root}/{table}", rows.slice(0, 2), partition_by=["_date"], name=table, configuration=OURS)
    lake.append(table, rows.slice(2 if parted_by == "_date" else 0))
    assert DeltaTable(f"{root}/{table}").metadata().partition_columns == [parted_by]
    for _ in range(2):
        for low, high in combinations_with_replacement(DAYS, 2):
            found = lake.read(table, since=low, until=high)
            assert sorted(found["_date"].to_pylist()) == [day for day in DAYS if low <= day <= high]
            assert found.column_names == rows.column_names
        assert sorted(lake.read(table)["_date"].to_pylist(), key=str) == sorted([*DAYS, None], key=str)
        lake.tidy(table, [], timedelta(days=1))
    assert len(DeltaTable(f"{root}/{table}").file_uris()) == (6 if parted_by == "_month" else 7)
    for day, gone in ((DAYS[1], 1), (DAYS[4], 3), (DAYS[4], 0)):
        before = lake.version(table)
        assert lake.drop_days(table, day) == gone
        assert (lake.version(table) == before) is not bool(gone)
    assert sorted(lake.read(table)["_date"].to_pylist(), key=str) == [DAYS[4], DAYS[5], None]


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
            time.sleep(0.01)  # between two looks: what is looked at tells nobody
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        newest = lake.committed("a/raw/b", ["app"])["app"]
        assert numbers(lake, "a/raw/b") == list(range(newest + 1))


def test_who_appends_while_it_is_tidied_loses_nothing(lake: DeltaLake, root: str) -> None:
    """Three processes append while this one merges and deletes without any grace: each row is there once."""
    table = "a/raw/busy"
    lake.append(table, numbered(0))
    writers = [subprocess.Popen([sys.executable, "-c", APPENDER, root, table, str(n)]) for n in (1, 2, 3)]
    tidied = 0
    while any(writer.poll() is None for writer in writers):
        tidied += lake.tidy(table, [], timedelta(0)).files_deleted
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    last = lake.tidy(table, [], timedelta(0))
    assert (tidied > 0, last.files_after) == (True, 1)
    assert numbers(lake, table) == [0, *(1000 * n + i for n in (1, 2, 3) for i in range(15))]
    assert lake.committed(table, ["w1", "w2", "w3"]) == {"w1": 14, "w2": 14, "w3": 14}


def test_a_kept_version_outlives_its_log(lake: DeltaLake, root: str) -> None:
    """Old entries of the log go, but for kept versions; young ones stay, and all goes on from there."""
    table, log = "a/raw/b", Path(root, "a/raw/b/_delta_log")
    for n in range(104):  # past the hundredth commit, at which delta-rs makes a checkpoint and trims by itself
        lake.append(table, numbered(n), {"app": n})
        if n == 60:
            age(log, days=40)
    assert numbers(lake, table, version=3) == [0, 1, 2, 3]
    for older_than in (timedelta(days=30), timedelta(0)):  # entries of the last hour stay all the same
        lake.tidy(table, [3, 60], older_than)
        assert len(list(log.glob("*.json"))) >= 104 - 61
        assert [numbers(DeltaLake(root=root), table, version=v) for v in (3, 60)] == [list(range(4)), list(range(61))]
        with pytest.raises(NotFound):
            lake.read(table, version=30)
    age(log, days=1)
    lake.tidy(table, [3], timedelta(0))
    assert len(list(log.glob("*.json"))) <= 4
    assert numbers(DeltaLake(root=root), table, version=3) == list(range(4))
    assert lake.committed(table, ["app"]) == {"app": 103}
    lake.append(table, numbered(103), {"app": 103})
    lake.append(table, numbered(104), {"app": 104}, after={"app": 103})
    assert numbers(lake, table) == list(range(105))


def age(folder: Path, days: float) -> None:
    """Make files look as old as that."""
    for file in folder.iterdir():
        os.utime(file, (time.time() - days * 86_400,) * 2)


def test_what_a_killed_writer_left_goes(lake: DeltaLake, root: str) -> None:
    """A file that no commit names is deleted once it is old; younger, a writer may be about to commit it."""
    lake.append("a/raw/b", numbered(1))
    orphans = [Path(root, f"a/raw/b/_month=2020-01/part-{age}.parquet") for age in ("young", "old")]
    for orphan in orphans:
        orphan.write_bytes(b"half a file")
    os.utime(orphans[1], (time.time() - 9 * 86_400,) * 2)
    assert lake.tidy("a/raw/b", [], timedelta(days=7)).files_deleted == 1
    assert [orphan.exists() for orphan in orphans] == [True, False]
    assert numbers(lake, "a/raw/b") == [1]


def test_what_was_merged_and_deleted_is_not_told_apart(lake: DeltaLake) -> None:
    """Where the files that commits added are gone, asking for what is newer says so; young ones are not gone."""
    versions = [lake.append("a/raw/b", numbered(n)) for n in range(3)]
    lake.tidy("a/raw/b", [], timedelta(days=1))
    assert numbers(lake, "a/raw/b", newer_than=versions[0]) == [1, 2]
    lake.tidy("a/raw/b", [], timedelta(0))
    with pytest.raises(NotFound, match="cannot tell what was added after version 0"):
        lake.read("a/raw/b", newer_than=versions[0])
    lake.append("a/raw/b", numbered(3))
    assert numbers(lake, "a/raw/b", newer_than=lake.open("a/raw/b").version() - 1) == [3]


def test_nested_columns_may_come_and_stay(lake: DeltaLake) -> None:
    """Lists and structs that come later are null before, through tidying too; another inner type is refused."""
    table = "a/raw/nested"
    lake.append(table, numbered(1))
    pairs = pa.array([{"name": "x", "size": 1}], pa.struct([("name", pa.string()), ("size", pa.int64())]))
    many = pa.array([["p", None]], pa.list_(pa.string()))
    lake.append(table, numbered(2, pair=pairs, many=many))
    lake.append(table, numbered(3, many=many))
    for _ in range(2):
        rows = lake.read(table).sort_by("n")
        assert rows["pair"].to_pylist() == [None, {"name": "x", "size": 1}, None]
        assert rows["many"].to_pylist() == [None, ["p", None], ["p", None]]
        assert rows.schema.field("pair").type == pairs.type
        lake.tidy(table, [], timedelta(0))
    with pytest.raises(ContractBroken, match="'many' is list"):
        lake.append(table, numbered(4, many=pa.array([[1]], pa.list_(pa.int64()))))


def test_the_newest_version_is_told_by_the_log_alone(
    lake: DeltaLake, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many commits lie behind the last checkpoint, and once old entries went; no table is opened for it."""
    table = "a/raw/b"
    assert lake.version(table) is None
    Path(root, table).mkdir(parents=True)
    assert lake.version(table) is None
    committed = [lake.append(table, numbered(n), {"app": n}) for n in range(104)]
    age(Path(root, table, "_delta_log"), days=40)
    lake.tidy(table, [], timedelta(days=30))
    expected = DeltaTable(f"{root}/{table}").version()
    assert committed == list(range(104))
    assert expected >= 103
    note = Path(root, table, "_delta_log", "_last_checkpoint")
    for damaged in (b'{"vers', None):  # then the table is opened, which is not without a version
        said = note.read_bytes()
        note.unlink() if damaged is None else note.write_bytes(damaged)
        assert DeltaLake(root=root).version(table) == expected
        note.write_bytes(said)
    monkeypatch.setattr(DeltaLake, "_open", None)
    assert DeltaLake(root=root).version(table) == expected
    for n in range(1, 21):
        write_deltalake(f"{root}/{table}", pa.table({"n": [n]}), mode="append", schema_mode="merge")
        assert DeltaLake(root=root).version(table) == lake.version(table) == expected + n
