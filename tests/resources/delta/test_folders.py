"""Delta tables that catalogs and other readers take: folders without dots, a name and a description for each table."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation import names
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.monitor.drift import days
from loopline.platform_core.testing.lake import numbered, numbers
from loopline.resources.delta.lake import DeltaLake

VIEW, FOLDER = "shop/features/orders.v2", "shop/features/orders__v2"


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Open a lake."""
    return DeltaLake(root=str(tmp_path))


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


def test_a_table_that_went_begins_anew(lake: DeltaLake, tmp_path: Path) -> None:
    """Whoever has written it, and whoever else writes it first."""
    lake.append(VIEW, numbered(1))
    shutil.rmtree(tmp_path / FOLDER)
    assert lake.version(VIEW) is None
    DeltaLake(root=lake.root).append(VIEW, numbered(2))
    assert numbers(lake, VIEW) == [2]


@pytest.mark.parametrize("name", [FOLDER, "shop/features/orders_.v2"])
def test_no_two_tables_have_one_folder(lake: DeltaLake, name: str) -> None:
    """A name that another could be taken for is refused before anything is read or written."""
    lake.append(VIEW, numbered(1))
    for does in (lambda: lake.append(name, numbered(2)), lambda: lake.version(name), lambda: lake.read(name)):
        with pytest.raises(ContractBroken, match=r"the folder of table .* would be that of"):
            does()
    assert numbers(lake, VIEW) == [1]


def test_a_table_of_somebody_else_is_listed_by_its_folder(lake: DeltaLake, tmp_path: Path) -> None:
    """Whatever it calls itself."""
    write_deltalake(tmp_path / "shop/raw/theirs", pa.table({"n": [1]}), name="a.table of theirs")
    assert lake.tables() == ["shop/raw/theirs"]
    assert numbers(lake, "shop/raw/theirs") == [1]


def test_a_folder_with_a_dot_is_no_table(lake: DeltaLake, tmp_path: Path) -> None:
    """Whoever goes through the tables could not open it: the table of that name lies elsewhere, and is listed once."""
    write_deltalake(tmp_path / VIEW, numbered(1))
    assert lake.tables() == []
    assert lake.version(VIEW) is None
    lake.append(VIEW, numbered(2))
    assert lake.tables() == [VIEW]
    assert numbers(lake, VIEW) == [2]
