"""Delta tables that catalogs and other readers take: folders without dots, a name and a description for each table."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation import names
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.monitor import days
from loopline.platform_core.testing.lake import numbered, numbers
from loopline.resources.delta.commits import OURS
from loopline.resources.delta.lake import DeltaLake

VIEW, FOLDER = "shop/features/orders.v2", "shop/features/orders__v2"


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Open a lake."""
    return DeltaLake(root=str(tmp_path))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Write a table as an older release did: a folder with a dot, and no name."""
    folder = tmp_path / VIEW
    write_deltalake(folder, numbered(1), partition_by=["_date"], configuration=OURS)
    return folder


def test_a_folder_has_no_dot_and_the_table_keeps_its_name(lake: DeltaLake, tmp_path: Path) -> None:
    """Letters, digits and _ on the disk; whoever lists the lake sees the names of before."""
    lake.append(VIEW, numbered(1))
    about = DeltaTable(tmp_path / FOLDER).metadata()
    assert about.name == VIEW
    assert about.description == "Feature view orders.v2 of team shop, each row with when it became known"
    assert lake.tables() == [VIEW]
    assert numbers(DeltaLake(root=str(tmp_path)), VIEW) == [1]


@pytest.mark.parametrize(
    ("table", "holds"),
    [
        (names.raw_table("shop", "orders"), "Accepted rows of the source orders of team shop"),
        (names.dead_letter_table("shop", "orders"), "Rows of the source orders of team shop that broke its contract"),
        (names.closed_letter_table("shop", "orders"), "Dead letters of the source orders of team shop that were rep"),
        (names.quality_table("shop", "orders"), "What each landing of the source orders of team shop was like"),
        (names.prediction_table("shop", "churn"), "Requests that model churn of team shop answered"),
        (names.realised_table("shop", "churn"), "Answers of model churn of team shop whose label has come"),
        (names.scores_table("shop", "churn"), "Daily scores of model churn of team shop"),
        (days.table(ModelRef("shop", "churn")), "What was counted in each drift window of model churn of team shop"),
        (names.scorecard_table("figures"), "The platform's scorecard: figures"),
    ],
)
def test_every_table_says_what_it_holds(lake: DeltaLake, tmp_path: Path, table: str, holds: str) -> None:
    """Whatever the platform writes; and no folder of it has a dot."""
    lake.append(table, numbered(1))
    (log,) = tmp_path.glob("*/*/*/_delta_log")
    assert "." not in log.parent.name
    assert str(DeltaTable(log.parent).metadata().description).startswith(holds)
    assert lake.tables() == [table]


def test_the_docs_list_every_table_that_says_what_it_holds() -> None:
    """Who reads the lake with another tool finds each kind of table there."""
    page = Path(__file__).parents[3] / "docs/how-to/open-the-lake-elsewhere.md"
    listed = re.findall(r"^\| `[^`]+` \| `([^`]+)` \|", page.read_text(), re.MULTILINE)
    assert {table.split("/")[1] for table in listed} == set(names.HOLDS)


def test_a_name_lasts(lake: DeltaLake, tmp_path: Path) -> None:
    """Behind new columns, merged files, days that went, and a log of which only a checkpoint is left."""
    for n in range(4):
        lake.append(VIEW, numbered(n, day=1 + n % 2, **{f"more_{n}": ["x"]}), {"app": n})
    lake.drop_days(VIEW, date(2020, 1, 2))
    lake.tidy(VIEW, [1], timedelta(0))
    lake.open(VIEW).create_checkpoint()
    newest = lake.version(VIEW) or 0
    for entry in (tmp_path / FOLDER / "_delta_log").glob("*.json"):
        if int(entry.stem) < newest:
            entry.unlink()
    other = DeltaLake(root=lake.root)
    assert other.tables() == [VIEW]
    assert numbers(other, VIEW) == [1, 3]
    assert other.committed(VIEW, ["app"]) == {"app": 3}
    other.append(VIEW, numbered(4), {"app": 4}, after={"app": 3})
    assert numbers(lake, VIEW) == [1, 3, 4]


def test_a_table_of_before_goes_on_in_its_folder(lake: DeltaLake, old: Path, tmp_path: Path) -> None:
    """What lies under a folder with a dot is read there by any version, appended to, tidied, and listed once."""
    assert lake.append(VIEW, numbered(2), {"app": 0}, after={}) == 1
    assert lake.append(VIEW, numbered(2), {"app": 0}) == 1
    assert lake.committed(VIEW, ["app"]) == {"app": 0}
    assert [numbers(lake, VIEW, version=version) for version in (0, 1)] == [[1], [1, 2]]
    assert numbers(lake, VIEW, newer_than=0) == [2]
    lake.tidy(VIEW, [0], timedelta(0))
    assert numbers(DeltaLake(root=lake.root), VIEW, version=0) == [1]
    assert lake.drop_days(VIEW, date(2020, 1, 2)) == 2
    assert lake.version(VIEW) == DeltaTable(old).version() > 1
    assert lake.tables() == [VIEW]
    assert not (tmp_path / FOLDER).exists()


def test_a_table_of_before_moves_as_the_page_says(lake: DeltaLake, old: Path, tmp_path: Path) -> None:
    """It is given its name, then its folder is renamed; pinned versions stay what they were."""
    DeltaTable(old).alter.set_table_name(VIEW)
    assert numbers(lake, VIEW) == [1]
    old.rename(tmp_path / FOLDER)
    for side in (lake, DeltaLake(root=lake.root)):
        assert side.tables() == [VIEW]
        assert numbers(side, VIEW, version=0) == [1]
    lake.append(VIEW, numbered(2))
    assert numbers(DeltaLake(root=lake.root), VIEW) == [1, 2]
    assert not old.exists()


def test_a_name_never_reads_the_folder_of_another(lake: DeltaLake, tmp_path: Path) -> None:
    """With two underlines where another table's name has its dot, it is refused before anything is read or written."""
    lake.append(VIEW, numbered(1))
    for side in (lake, DeltaLake(root=lake.root)):
        with pytest.raises(ContractBroken, match=r"is that of 'shop/features/orders\.v2'"):
            side.append(FOLDER, numbered(2))
        with pytest.raises(ContractBroken):
            side.version(FOLDER)
    assert DeltaTable(tmp_path / FOLDER).version() == 0


def test_names_that_are_alike_may_begin_at_once(lake: DeltaLake) -> None:
    """Two tables, each by two writers at the same moment: a row is where its name says, or its writer was refused."""

    def write(name: str, n: int) -> tuple[str, int] | None:
        try:
            DeltaLake(root=lake.root, attempts=50).append(name, numbered(n), {f"app{n}": n})
        except ContractBroken:
            return None
        return name, n

    for turn in range(10):
        alike = [f"shop/raw/x{turn}{mark}resolved" for mark in (".", "__")]
        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, alike[n % 2], n) for n in range(4)]
        written = [done for one in writing if (done := one.result())]
        assert {(alike[0], 0), (alike[0], 2)} <= set(written)
        for name in {name for name, _ in written}:
            assert numbers(DeltaLake(root=lake.root), name) == sorted(n for where, n in written if where == name)
        assert set(lake.tables()) >= {name for name, _ in written}


@pytest.mark.parametrize("name", [None, FOLDER, "a table of theirs"])
def test_where_its_folder_is_another_s_a_table_takes_the_one_with_a_dot(
    lake: DeltaLake, tmp_path: Path, name: str | None
) -> None:
    """Two underlines were a source's own, with or without a name; neither table sees the other's rows."""
    write_deltalake(tmp_path / FOLDER, numbered(1), partition_by=["_date"], name=name)
    assert lake.version(VIEW) is None
    lake.append(VIEW, numbered(2))
    lake.append(FOLDER, numbered(3))
    for side in (lake, DeltaLake(root=lake.root)):
        assert side.tables() == [VIEW, FOLDER]
        assert [numbers(side, VIEW), numbers(side, FOLDER)] == [[2], [1, 3]]


def test_a_table_in_two_folders_is_not_guessed_at(lake: DeltaLake, tmp_path: Path) -> None:
    """An older release wrote beside this one: nobody reads half of the rows."""
    lake.append(VIEW, numbered(1))
    write_deltalake(tmp_path / VIEW, numbered(2))
    with pytest.raises(ContractBroken, match="lies in two folders"):
        DeltaLake(root=lake.root).read(VIEW)


def test_a_table_that_went_is_looked_for_anew(lake: DeltaLake, old: Path, tmp_path: Path) -> None:
    """Who knew its folder writes where everybody else would."""
    assert numbers(lake, VIEW) == [1]
    shutil.rmtree(old)
    assert lake.version(VIEW) is None
    lake.append(VIEW, numbered(2))
    assert (tmp_path / FOLDER).exists()
    assert not old.exists()
    assert numbers(DeltaLake(root=lake.root), VIEW) == [2]
    shutil.rmtree(tmp_path / FOLDER)
    DeltaLake(root=lake.root).append(FOLDER, numbered(3))
    assert lake.version(VIEW) is None


def test_a_table_of_somebody_else_is_listed_by_its_folder(lake: DeltaLake, tmp_path: Path) -> None:
    """Whatever it calls itself."""
    write_deltalake(tmp_path / "shop/raw/theirs", pa.table({"n": [1]}), name="a.table of theirs")
    assert lake.tables() == ["shop/raw/theirs"]
    assert numbers(lake, "shop/raw/theirs") == [1]
