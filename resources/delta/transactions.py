"""Every transaction of a table at once, read from its log: delta-rs looks up one at a time, and scans the log for each.

A source has a transaction for each file that ever landed. One by one that is 2 ms for each of them, at each poll by a
process that has not looked at this version. In bulk it is a column of the last checkpoint and the commits since; and
who has looked before reads what was committed since then only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Unsupported
from loopline.resources.delta.opened import LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem


@dataclass
class Transactions:
    """The committed transactions of one table, as of ``version``; what was read is kept from call to call."""

    table: str = ""
    version: int = -1
    known: dict[str, int] = field(default_factory=dict)

    def at(self, delta_table: DeltaTable, store: FileSystem) -> Mapping[str, int] | None:
        """Return all as of the version at which the table is open; None where the log cannot be read like this."""
        table, version = str(delta_table.metadata().id), int(delta_table.version())
        if table != self.table or self.version > version:  # another of that name, or an older version
            self._forget(table)
        for _ in range(2):
            if self.version < 0:
                self.version, self.known = _checkpoint(store, version)
            try:
                newer = [_commit(store, number) for number in range(self.version + 1, version + 1)]
            except (OSError, ValueError, KeyError):
                self._forget(table)  # entries since were trimmed, so there is a newer checkpoint
                continue
            for transactions in newer:
                self.known |= transactions
            self.version = version
            return self.known
        return None

    def _forget(self, table: str) -> None:
        self.table, self.version, self.known = table, -1, {}


def chosen(
    delta_table: DeltaTable, applications: Collection[str] | None, known: Mapping[str, int] | None
) -> Mapping[str, int]:
    """Return some of the known transactions of a table, or all; where the log was not read, look them up one by one.

    Raises:
        Unsupported: all are asked for, and another writer keeps the log so that they cannot be listed.
    """
    if known is None and applications is None:
        raise Unsupported(
            f"the log of {delta_table.table_uri} is kept by another writer, in a form that cannot be listed",
            "ask for transactions by name",
        )
    if known is None:
        each = {app: delta_table.transaction_version(app) for app in applications or ()}
        return {app: at for app, at in each.items() if at is not None}
    return known if applications is None else {app: known[app] for app in applications if app in known}


def _commit(store: FileSystem, version: int) -> dict[str, int]:
    """Return what one commit says of transactions."""
    with store.open_input_stream(f"{LOG}/{version:020}.json") as file:
        lines = file.read().splitlines()
    return dict(_said(lines))


def _said(lines: list[bytes]) -> Iterator[tuple[str, int]]:
    for line in lines:
        said = json.loads(line).get("txn") if b'"txn"' in line else None
        if said:
            yield said["appId"], int(said["version"])


def _checkpoint(store: FileSystem, newest: int) -> tuple[int, dict[str, int]]:
    """Return the version of the last checkpoint up to ``newest`` and its transactions; -1 and none without one."""
    from pyarrow import parquet

    try:
        with store.open_input_stream(f"{LOG}/_last_checkpoint") as file:
            version = int(json.loads(file.read())["version"])
        if version > newest:
            return -1, {}
        with store.open_input_file(f"{LOG}/{version:020}.checkpoint.parquet") as file:
            column = parquet.read_table(file, columns=["txn"])["txn"].combine_chunks()
    except (OSError, ValueError, KeyError):
        return -1, {}
    said = column.filter(column.is_valid())
    names, versions = said.field("appId").to_pylist(), said.field("version").to_pylist()
    return version, dict(zip(names, versions, strict=True))
