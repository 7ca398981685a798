"""Where a Delta table lies, as other tools name it."""

from __future__ import annotations

import pytest

from loopline.resources.delta.lake import DeltaLake

ACCOUNT = {"AZURE_STORAGE_ACCOUNT_NAME": "acme"}


@pytest.mark.parametrize(
    ("root", "options", "place"),
    [
        ("/var/x/../lake", {}, "/var/lake/t/raw/a"),
        ("s3://lake/deep/", {}, "s3://lake/deep/t/raw/a"),
        ("az://lake/deep", ACCOUNT, "abfss://lake@acme.dfs.core.windows.net/deep/t/raw/a"),
        ("az://lake", {"account_name": "acme"}, "abfss://lake@acme.dfs.core.windows.net/t/raw/a"),
        ("az://lake", {}, "az://lake/t/raw/a"),
        ("s3://lake", ACCOUNT, "s3://lake/t/raw/a"),
    ],
)
def test_a_table_s_place(root: str, options: dict[str, str], place: str) -> None:
    """The folder; in Azure's store a container's name is one of many until the account is said."""
    assert DeltaLake(root=root, storage_options=options).place("t/raw/a") == place
