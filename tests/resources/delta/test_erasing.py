"""What is erased from a Delta table is in none of its files, whoever writes meanwhile and wherever a kill comes."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from loopline.platform_core.errors import NotFound
from loopline.resources.delta import erasing
from loopline.resources.delta.lake import DeltaLake

KEY = "key-8810471"
TABLE = "shop/raw/orders"


def rows(*who: str, day: int | None = 1) -> pa.Table:
    """Make rows of persons; without a day the table lies in one folder, and the log keeps bounds of all columns."""
    days = {} if day is None else {"_date": pa.array([date(2020, day, 1)] * len(who))}
    return pa.table({"who": pa.array(who), "n": pa.array(range(len(who)), pa.int64()), **days})


def holding(lake: DeltaLake) -> list[str]:
    """Name the files in which the key stands, as bytes or in a column."""
    found = []
    for path in Path(lake.root).rglob("*"):
        if path.is_file():
            texts = parquet.read_table(path).to_pylist() if path.suffix == ".parquet" else path.read_bytes()
            if KEY in str(texts):
                found.append(str(path.relative_to(lake.root)))
    return found


@pytest.fixture(params=[1, None], ids=["months", "one folder"])
def lake(tmp_path, request) -> DeltaLake:
    """Make a table of several commits, some merged and one of them kept, in which the key stands everywhere."""
    lake = DeltaLake(root=str(tmp_path))
    for n in range(4):
        lake.append(TABLE, rows(KEY, f"other-{n}", day=request.param and n % 3 + 1), {"a": n})
    lake.tidy(TABLE, [1], timedelta(0))
    lake.append(TABLE, rows(KEY, "last", day=request.param), {"a": 4})
    assert len(holding(lake)) > 2
    return lake


def others(lake: DeltaLake) -> list[str]:
    """Read who is in the table, sorted."""
    return sorted(lake.read(TABLE)["who"].to_pylist())


ALL = sorted([*(f"other-{n}" for n in range(4)), "last"])


def test_nothing_is_left_in_any_file(lake) -> None:
    """Neither in data, nor in the feed of changes, nor in the log's bounds, conditions and checkpoints."""
    assert lake.erase(TABLE, {"who": pa.array([KEY])}) == 5
    assert holding(lake) == []
    assert others(lake) == ALL
    for opened in (lake, DeltaLake(root=lake.root)):
        assert opened.committed(TABLE) == {"a": 4}
        with pytest.raises(NotFound):
            opened.read(TABLE, newer_than=2)
    version = lake.version(TABLE)
    assert lake.erase(TABLE, {"who": pa.array([KEY])}) == 0
    assert lake.version(TABLE) == version
    lake.append(TABLE, rows("new"), {"a": 5}, after={"a": 4})
    assert lake.read(TABLE, newer_than=version)["who"].to_pylist() == ["new"]


class Killed(BaseException):
    """The process is gone."""


STEPS = ("_deleted", "_let_go", "_scrubbed", "_scrub", "_write", "_delete_feed")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_it_is_done_again(lake, monkeypatch, step) -> None:
    """Before it or behind it: others' rows stay, and the next call leaves nothing."""
    whole = getattr(erasing, step)
    for behind in (False, True):

        def dying(*args, behind=behind):
            if behind:
                whole(*args)
            raise Killed

        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(erasing, step, dying)
            lake.erase(TABLE, {"who": pa.array([KEY])})
        lake = DeltaLake(root=lake.root)
        assert [who for who in others(lake) if who != KEY] == ALL
    lake.erase(TABLE, {"who": pa.array([KEY])})
    assert holding(lake) == []
    assert others(lake) == ALL


def test_who_appends_meanwhile_loses_nothing(lake) -> None:
    """Rows and transactions of a writer in another thread are all there, each once."""
    failed: list[BaseException] = []

    def write() -> None:
        try:
            mine = DeltaLake(root=lake.root)
            for n in range(25):
                mine.append(TABLE, rows(f"meanwhile-{n:02}", day=None if "one" in lake.root else 1), {f"w{n}": 1})
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        lake.erase(TABLE, {"who": pa.array([KEY])})
    writer.join()
    assert failed == []
    assert [who for who in others(lake) if who.startswith("meanwhile")] == [f"meanwhile-{n:02}" for n in range(25)]
    assert sum(name.startswith("w") for name in lake.committed(TABLE)) == 25
    lake.erase(TABLE, {"who": pa.array([KEY])})
    assert holding(lake) == []


def test_a_condition_is_no_program(lake) -> None:
    """Whatever a key is made of, it means itself."""
    odd = ["'); DROP", "' OR '1' = '1", 'a"b', "\\", "ä\n"]
    lake.append(TABLE, rows(*odd))
    for one in odd:
        assert lake.erase(TABLE, {"who": pa.array([one])}) == 1
    assert lake.erase(TABLE, {"who": pa.array([], pa.string())}) == 0
    assert KEY in others(lake)
    many = pa.array([f"other-{n}" for n in range(2_000)])
    assert lake.erase(TABLE, {"who": many, "n": pa.array([1], pa.int64())}) == 4
