"""A table that stands still is opened once; what a process holds open is the newest all the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from loopline.resources.delta.lake import DeltaLake

TABLE = "t/raw/s"


def _rows(number: int) -> pa.Table:
    return pa.table({"n": [number]})


def test_a_table_that_stands_still_is_opened_once(tmp_path: Path) -> None:
    """Until somebody, of this process or another, commits: then what was handed out before stays as it was."""
    lake, other = DeltaLake(root=str(tmp_path)), DeltaLake(root=str(tmp_path))
    lake.append(TABLE, _rows(0))
    first = lake.find(TABLE)
    assert lake.find(TABLE) is first
    for number, writer in enumerate((lake, other), 1):
        writer.append(TABLE, _rows(number))
        assert first is not None
        assert (first.version(), lake.version(TABLE)) == (0, number)
        assert sorted(lake.read(TABLE)["n"].to_pylist()) == [*range(number + 1)]


def test_a_folder_of_this_machine_is_looked_at_by_its_own_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at two files by delta-rs takes 250 microseconds, by the machine itself 5: sensors look at every table."""
    lake = DeltaLake(root=str(tmp_path))
    lake.append(TABLE, _rows(0), {"reader": 1})
    monkeypatch.delattr("deltalake.fs.DeltaStorageHandler")
    assert (lake.version(TABLE), lake.committed(TABLE), lake.tables()) == (0, {"reader": 1}, [TABLE])


def test_another_table_in_its_place_is_another(tmp_path: Path) -> None:
    """Of as many versions, as when a lake is deleted and written anew."""
    lake = DeltaLake(root=str(tmp_path))
    for number in (1, 2):
        for _ in range(2):
            DeltaLake(root=str(tmp_path)).append(TABLE, _rows(number), {"app": number})
        assert lake.read(TABLE)["n"].to_pylist() == [number]
        assert lake.committed(TABLE) == {"app": number}
        shutil.rmtree(tmp_path / "t")
    assert lake.version(TABLE) is None


def test_readers_see_whole_versions_while_others_write(tmp_path: Path) -> None:
    """A table is handed to several threads, and each append shows as a whole."""
    lake, seen, stop = DeltaLake(root=str(tmp_path)), [], False
    lake.append(TABLE, _rows(0))

    def read() -> None:
        while not stop:
            version = lake.version(TABLE)
            seen.append(len(lake.read(TABLE, version=version)) - (version or 0))

    readers = [Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 15):
        lake.append(TABLE, _rows(number))
    stop = True
    for reader in readers:
        reader.join()
    assert set(seen) <= {1}


def test_no_more_tables_are_held_than_some(tmp_path: Path) -> None:
    """What was not asked for longest is let go."""
    lake = DeltaLake(root=str(tmp_path))
    lake._opened.most = 2
    for name in ("a", "b", "c"):
        lake.append(f"t/raw/{name}", _rows(0))
    first, *_, last = [lake.find(f"t/raw/{name}") for name in ("a", "b", "c")]
    assert lake.find("t/raw/c") is last
    assert lake.find("t/raw/a") is not first


class Unreachable:
    """A store that cannot be asked."""

    def get_file_info(self, paths: list[str]) -> None:
        """Fail."""
        raise OSError(f"no answer about {paths}")


def test_a_commit_is_done_whatever_is_asked_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that answers no more just then must not have the rows written twice."""
    lake = DeltaLake(root=str(tmp_path))
    lake.append(TABLE, _rows(0))
    monkeypatch.setattr(DeltaLake, "_store", lambda *_: Unreachable())
    assert lake.append(TABLE, _rows(1)) == 1
    monkeypatch.undo()
    assert sorted(DeltaLake(root=str(tmp_path)).read(TABLE)["n"].to_pylist()) == [0, 1]
