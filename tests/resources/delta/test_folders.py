"""Delta tables that catalogs and other readers take: folders without dots, a name and words for each table."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.lake import numbered, numbers
from loopline.resources.delta.lake import DeltaLake

VIEW = "shop/features/orders.v2"


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Open a lake."""
    return DeltaLake(root=str(tmp_path))


def test_a_folder_has_no_dot_and_the_table_keeps_its_name(lake, tmp_path):
    """A name, words, and a folder of letters, digits and _; whoever lists the lake sees the names of before."""
    lake.append(VIEW, numbered(1))
    folder = tmp_path / "shop/features/orders__v2"
    about = DeltaTable(folder).metadata()
    assert (about.name, about.description) == (VIEW, "Feature view orders.v2 of team shop, with what was known when")
    assert list(lake.tables()) == [VIEW]
    assert numbers(DeltaLake(root=str(tmp_path)), VIEW) == [1]


def test_a_table_of_before_goes_on_in_its_folder(lake, tmp_path):
    """What was written under a folder with a dot is read there, appended to there, and listed once."""
    old = tmp_path / VIEW
    write_deltalake(old, numbered(1), partition_by=["_date"])
    lake.append(VIEW, numbered(2))
    assert DeltaTable(old).version() == 1
    assert numbers(lake, VIEW) == [1, 2]
    assert list(lake.tables()) == [VIEW]
    assert not (tmp_path / "shop/features/orders__v2").exists()


def test_two_names_never_share_a_folder(lake):
    """A name with two underlines, where another table's has its dot, is refused before anything is written."""
    lake.append(VIEW, numbered(1))
    with pytest.raises(ContractBroken, match=r"orders\.v2"):
        lake.append("shop/features/orders__v2", numbered(2))
    assert numbers(lake, VIEW) == [1]


def test_a_table_of_somebody_else_is_listed_by_its_folder(lake, tmp_path):
    """Whatever it calls itself."""
    write_deltalake(tmp_path / "shop/raw/theirs", numbered(1), name="a.table of theirs")
    assert list(lake.tables()) == ["shop/raw/theirs"]
    assert numbers(lake, "shop/raw/theirs") == [1]
