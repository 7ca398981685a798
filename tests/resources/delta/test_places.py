"""Where a Delta table lies, as other tools name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.resources.delta.folders import with_account
from loopline.resources.delta.lake import DeltaLake

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = {"AZURE_STORAGE_ACCOUNT_NAME": "acme"}


@pytest.mark.parametrize(
    ("uri", "options", "place"),
    [
        ("s3://lake/deep/t/raw/a", {}, "s3://lake/deep/t/raw/a"),
        ("az://lake/deep/t/raw/a", ACCOUNT, "abfss://lake@acme.dfs.core.windows.net/deep/t/raw/a"),
        ("az://lake/t/raw/a", {"account_name": "acme"}, "abfss://lake@acme.dfs.core.windows.net/t/raw/a"),
        ("az://lake/t/raw/a", {}, "az://lake/t/raw/a"),
        ("s3://lake/t/raw/a", ACCOUNT, "s3://lake/t/raw/a"),
    ],
)
def test_the_account_is_in_the_name(uri: str, options: dict[str, str], place: str) -> None:
    """In Azure's store a container's name is one of many until the account is said."""
    assert with_account(uri, options) == place


def test_a_table_s_place(tmp_path: Path) -> None:
    """The folder, without detours; no store is asked over a network by this test."""
    (tmp_path / "x").mkdir()
    assert DeltaLake(root=f"{tmp_path}/x/../lake").place("t/raw/a") == f"{tmp_path}/lake/t/raw/a"
