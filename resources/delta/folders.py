"""Mapping of table names to folder names that catalogs accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.contracts.lake import TableName

AZURE, ACCOUNT = {"az", "adl", "azure"}, ("azure_storage_account_name", "account_name")
DOT = "__"
"""What stands in a folder's name for a dot of the table's."""


def folder_of(table: TableName) -> str:
    """Return a table's folder, which catalogs take.

    Raises:
        ContractBroken: the name has what stands for a dot, or may be taken to have.
    """
    folder = table.replace(".", DOT)
    if table_in(folder) != table:
        said = f"the folder of table {table!r} would be that of {table_in(folder)!r}"
        raise ContractBroken(said, f"name it without {DOT!r}, and with no underscore before a dot")
    return folder


def table_in(folder: str) -> TableName:
    """Return the name of the table that lies in a folder."""
    return folder.replace(DOT, ".")


def with_account(uri: str, storage_options: Mapping[str, str]) -> str:
    """Return a folder's URL or path; of Azure's store with the account, which is part of the name that others use."""
    scheme, is_url, rest = uri.partition("://")
    options = {name.lower(): value for name, value in storage_options.items()}
    account = next((options[name] for name in ACCOUNT if name in options), "")
    if not is_url or scheme not in AZURE or not account:
        return uri
    container, _, path = rest.partition("/")
    return f"abfss://{container}@{account}.dfs.core.windows.net/{path}"
