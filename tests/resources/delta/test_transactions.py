"""All transactions of a table are read from its log in bulk, and are what delta-rs says one by one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from loopline.resources.delta import transactions
from loopline.resources.delta.lake import DeltaLake

TABLE = "shop/raw/orders"
ROWS = pa.table({"n": pa.array([1, 2, 3], pa.int64())})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Open an empty lake."""
    return DeltaLake(root=str(tmp_path))


def land(lake: DeltaLake, numbers: Iterable[int]) -> None:
    """Commit an arrival each, and how far a reader has come."""
    for number in numbers:
        lake.append(TABLE, ROWS, {f"arrival:{number}": 1, "reader": number})


def asked(lake: DeltaLake, upto: int) -> dict[str, int]:
    """Ask for all of them and one that is not there."""
    return dict(lake.committed(TABLE, [*(f"arrival:{n}" for n in range(upto)), "reader", "nobody"]))


def expected(upto: int) -> dict[str, int]:
    """Say what was committed."""
    return {**{f"arrival:{n}": 1 for n in range(upto)}, **({"reader": upto - 1} if upto else {})}


@pytest.fixture
def in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look a transaction up by itself: that took 2 ms for each file that ever landed."""
    monkeypatch.setattr(DeltaTable, "transaction_version", None)


def test_with_and_without_a_checkpoint(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first checkpoint, at it, and behind it; by who has looked before, and by who has not."""
    assert asked(lake, 3) == {}
    done = 0
    for upto in (3, 99, 101, 105):
        land(lake, range(done, upto))
        done = upto
        with monkeypatch.context() as patch:
            patch.setattr(DeltaTable, "transaction_version", None)
            assert asked(lake, upto + 1) == expected(upto)
            assert asked(DeltaLake(root=lake.root), upto + 1) == expected(upto)
        one_by_one = lake.open(TABLE)
        assert one_by_one.transaction_version("arrival:0") == 1
        assert one_by_one.transaction_version("reader") == upto - 1
    assert list((Path(lake.root) / TABLE / "_delta_log").glob("*.checkpoint.parquet"))


def test_who_has_looked_before_reads_what_came_since(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the checkpoint nor an older commit is read again, and at the same version nothing is."""
    land(lake, range(5))
    asked(lake, 5)
    read: list[int] = []
    own = transactions._commit
    monkeypatch.setattr(transactions, "_commit", lambda store, number: read.append(number) or own(store, number))
    assert asked(lake, 5) == expected(5)
    assert read == []
    land(DeltaLake(root=lake.root), range(5, 7))
    read.clear()
    assert asked(lake, 7) == expected(7)
    assert read == [5, 6]


def test_behind_a_tidied_log(lake: DeltaLake) -> None:
    """What a reader had not read yet was trimmed: it begins from the checkpoint that stands for it."""
    land(lake, range(3))
    assert asked(lake, 3) == expected(3)
    other = DeltaLake(root=lake.root)
    land(other, range(3, 8))
    other.tidy(TABLE, [], timedelta(0))
    other.open(TABLE).create_checkpoint()
    folder = Path(lake.root) / TABLE / "_delta_log"
    newest = other.version(TABLE)
    for entry in folder.glob("*.json"):
        if int(entry.stem) < (newest or 0):
            entry.unlink()
    assert asked(lake, 8) == expected(8)
    assert asked(DeltaLake(root=lake.root), 8) == expected(8)


def test_a_table_that_was_made_anew_is_another(lake: DeltaLake) -> None:
    """Of the same name, and with as many versions."""
    land(lake, range(3))
    assert asked(lake, 3) == expected(3)
    shutil.rmtree(Path(lake.root) / TABLE)
    for number in range(10, 13):
        lake.append(TABLE, ROWS, {f"arrival:{number}": 1})
    assert asked(lake, 3) == {}
    assert dict(lake.committed(TABLE, ["arrival:11"])) == {"arrival:11": 1}


@pytest.mark.parametrize("content", [b"", b"{}", b"no json", b'{"version": 9999}', b'{"version": 7}'])
def test_a_note_that_cannot_be_trusted(lake: DeltaLake, content: bytes) -> None:
    """Another writer's checkpoints may look otherwise: then the commits are read, and failing these each by itself."""
    land(lake, range(4))
    folder = Path(lake.root) / TABLE / "_delta_log"
    folder.joinpath("_last_checkpoint").write_bytes(content)
    assert asked(DeltaLake(root=lake.root), 5) == expected(4)


def test_a_log_that_is_kept_otherwise_is_asked_one_by_one(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow, and right."""
    land(lake, range(4))

    def unreadable(*_: object) -> dict[str, int]:
        raise FileNotFoundError("not here")

    monkeypatch.setattr(transactions, "_commit", unreadable)
    assert asked(lake, 5) == expected(4)


@pytest.mark.usefixtures("in_bulk")
def test_a_view_s_own_transactions_go_on(lake: DeltaLake) -> None:
    """One that is committed again and again is at its last."""
    lake.append(TABLE, ROWS, {"arrival:0": 1})
    assert lake.committed(TABLE, ["arrival:0", "view"]) == {"arrival:0": 1}


def test_all_are_read_without_opening_the_table(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first checkpoint, at it, behind it, and behind a log that was trimmed; by old readers and new ones."""
    looked = DeltaLake(root=lake.root)
    assert looked.committed(TABLE) == {}
    done = 0
    for upto in (3, 99, 101, 105):
        land(lake, range(done, upto))
        done = upto
        with monkeypatch.context() as patch:
            patch.setattr(DeltaLake, "_open", None)
            for reader in (looked, DeltaLake(root=lake.root)):
                assert reader.committed(TABLE) == expected(upto)
    lake.tidy(TABLE, [], timedelta(0))
    lake.open(TABLE).create_checkpoint()
    land(lake, range(105, 108))
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLake, "_open", None)
        for reader in (looked, DeltaLake(root=lake.root)):
            assert reader.committed(TABLE) == expected(108)


def test_who_listed_them_reads_what_came_since(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing while the log stands still, and the new commits alone; what was returned is the same object."""
    land(lake, range(5))
    first = DeltaLake(root=lake.root)
    known = first.committed(TABLE)
    read: list[int] = []
    own = transactions._commit
    monkeypatch.setattr(transactions, "_commit", lambda store, number: read.append(number) or own(store, number))
    assert first.committed(TABLE) is known
    assert read == []
    land(DeltaLake(root=lake.root), range(5, 7))
    read.clear()
    assert first.committed(TABLE) is known
    assert (known, read) == (expected(7), [5, 6, 7])


def test_a_table_that_took_the_place_of_another_has_its_own(lake: DeltaLake) -> None:
    """It was deleted and written anew, at the same version: nothing of the first may count as landed."""
    reader = DeltaLake(root=lake.root)
    land(lake, range(2))
    assert reader.committed(TABLE) == expected(2)
    shutil.rmtree(Path(lake.root) / TABLE)
    other = DeltaLake(root=lake.root)
    other.append(TABLE, ROWS, {"arrival:new": 1})
    other.append(TABLE, ROWS, {"arrival:newer": 1})
    assert reader.committed(TABLE) == {"arrival:new": 1, "arrival:newer": 1}
    shutil.rmtree(Path(lake.root) / TABLE)
    assert reader.committed(TABLE) == {}


class Away:
    """A store that answers nobody."""

    def get_file_info(self, *_: object) -> None:
        """Answer nobody."""
        raise OSError("connection refused")

    open_input_stream = open_input_file = get_file_info


def test_a_store_that_goes_away_is_asked_once(tmp_path: Path) -> None:
    """That it is away is told at once, to who looks for the first time as well; all is known again when it is back."""
    lake = DeltaLake(root=str(tmp_path))
    land(lake, range(3))
    there, log = SubTreeFileSystem(str(tmp_path / TABLE), LocalFileSystem()), transactions.Transactions()
    assert log.newest(there) == expected(3)
    for asked_before in (log, transactions.Transactions()):
        with pytest.raises(OSError, match="connection refused"):
            asked_before.newest(Away())  # type: ignore[arg-type]
        assert asked_before.newest(there) == expected(3)
