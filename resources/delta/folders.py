"""Which folder holds which table: catalogs take letters, digits and ``_``, and a table's name may have a dot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltalake import DeltaTable

    from loopline.platform_core.contracts.lake import TableName

AZURE, ACCOUNT = {"az", "adl", "azure"}, ("azure_storage_account_name", "account_name")
DOT = "__"
"""What stands in a folder's name for a dot of the table's."""


def safe(table: TableName) -> str:
    """Return the folder that catalogs take."""
    return table.replace(".", DOT)


def name_of(delta_table: DeltaTable, folder: str) -> TableName:
    """Return the name that a table bears; its folder's where it bears none that fits, as before tables had names."""
    name = str(delta_table.metadata().name or "")
    return name if safe(name) == folder else folder


def with_account(uri: str, storage_options: Mapping[str, str]) -> str:
    """Return a folder's URL or path; of Azure's store with the account, which is part of the name that others use."""
    scheme, is_url, rest = uri.partition("://")
    options = {name.lower(): value for name, value in storage_options.items()}
    account = next((options[name] for name in ACCOUNT if name in options), "")
    if not is_url or scheme not in AZURE or not account:
        return uri
    container, _, path = rest.partition("/")
    return f"abfss://{container}@{account}.dfs.core.windows.net/{path}"


def folder_of(table: TableName, at: Callable[[str], DeltaTable | None]) -> tuple[str, DeltaTable | None]:
    """Return the folder of a table, and the table if it lies there; ``at`` opens what lies in a folder.

    A folder whose name may stand for two names is the table's that bears its name. A table with a dot that was written
    when folders had dots stays where it is, and one whose safe folder is another's gets such a folder, too.

    Raises:
        ContractBroken: the folder of a table without a dot is another's, or a table lies in two folders.
    """
    there = at(safe(table))
    holds = name_of(there, safe(table)) if there else None
    if "." not in table:
        if holds not in {None, table}:
            raise ContractBroken(f"the folder of table {table!r} is that of {holds!r}", f"name it without {DOT!r}")
        return table, there
    as_before = at(table)
    if as_before is None:
        return (table, None) if holds not in {None, table} else (safe(table), there)
    if holds == table:
        raise ContractBroken(
            f"table {table!r} lies in two folders, {table!r} and {safe(table)!r}",
            "an older release wrote beside this one: stop both, and move the one away that has fewer rows",
        )
    return table, as_before
