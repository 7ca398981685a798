"""Reads all application transactions (``txn`` actions) of a Delta table from its log at once.

A source has a transaction for each file that ever landed. One by one that is 2 ms for each of them, at each poll by a
process that has not looked at this version. In bulk it is a column of the last checkpoint and the commits since; and
who has looked before reads what was committed since then only. Who asks for nothing else need not open the table, which
reads all that a checkpoint says.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.errors import Unsupported
from loopline.resources.delta.log import last_checkpoint
from loopline.resources.delta.opened import ABSENT, LOG, Known, commit_info, newest_commit

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem


@dataclass
class Transactions:
    """The committed transactions of one table, as of ``version``; what was read is kept from call to call."""

    table: str = ""
    version: int = -1
    known: dict[str, int] = field(default_factory=dict)
    commit: Known | None = None

    def newest(self, store: FileSystem) -> Mapping[str, int] | None:
        """Return all as of the newest version, by the log alone; None where there is no log that is read like this."""
        if self.commit is not None and newest_commit(store, self.version) == self.commit:
            return self.known
        if self.commit is None or commit_info(store, self.version) != self.commit:
            self._forget("")
        if self.version < 0:
            self.version, self.table, self.known = _checkpoint(store)
        try:
            while True:
                lines = _commit(store, self.version + 1)
                self.table = _table(lines) or self.table
                self.known |= _transactions_of(lines)
                self.version += 1
        except ABSENT:
            pass  # there is no such commit, which is looked up once more below
        except (ValueError, KeyError):
            self._forget("")
        self.commit = newest_commit(store, self.version) if self.version >= 0 else None
        return self.known if self.commit is not None and self.table else None

    def at(self, delta_table: DeltaTable, store: FileSystem) -> Mapping[str, int] | None:
        """Return all as of the version at which the table is open; None where the log cannot be read like this."""
        table, version = str(delta_table.metadata().id), int(delta_table.version())
        if table != self.table or self.version > version:  # another of that name, or an older version
            self._forget(table)
        for _ in range(2):
            if self.version < 0:
                self.version, _, self.known = _checkpoint(store, version)
            try:
                newer = [_commit(store, number) for number in range(self.version + 1, version + 1)]
                transactions = [_transactions_of(lines) for lines in newer]
            except (*ABSENT, ValueError, KeyError):
                self._forget(table)  # entries since were trimmed, so there is a newer checkpoint
                continue
            commit = newest_commit(store, version) if newer or self.commit is None else self.commit
            for each in transactions:
                self.known |= each
            self.version, self.commit = version, commit
            return self.known
        return None

    def add(self, version: int, transactions: Mapping[str, int], commit: Known | None) -> None:
        """Add what this process committed itself as ``version``, if it knows all before; nothing is read for it."""
        if commit is not None and self.commit is not None and self.version == version - 1:
            self.known |= transactions
            self.version, self.commit = version, commit

    def _forget(self, table: str) -> None:
        self.table, self.version, self.known, self.commit = table, -1, {}, None


def mark_of(uri: str, version: int, commit: Known | None) -> str:
    """Name a version of a table, so that another table is not taken for it; "" where its commit is not known."""
    return "" if commit is None else f"{uri} {version} {commit[0]} {commit[1]}"


@dataclass
class NewTransactions:
    """The transactions of one table since a mark; kept from call to call, as long as the mark is the same."""

    mark: str = ""
    newest: str = ""
    version: int = -1
    commit: Known | None = None
    known: dict[str, int] = field(default_factory=dict)

    def since(self, mark: str, uri: str, store: FileSystem) -> Mapping[str, int] | None:
        """Return them as of the newest version; None where the mark is not of this table's log, or of one trimmed."""
        if self.mark != mark:
            is_there = self._begin(mark, uri, store)
        elif newest_commit(store, self.version) == self.commit:
            return self.known
        else:
            is_there = commit_info(store, self.version) == self.commit
        if not is_there or not self._read(store):
            self.mark = ""
            return None
        self.newest = mark_of(uri, self.version, self.commit)
        return self.known

    def _begin(self, mark: str, uri: str, store: FileSystem) -> bool:
        version = mark.removeprefix(f"{uri} ").partition(" ")[0]
        if not version.isdecimal():
            return False
        self.version, self.known = int(version), {}
        self.commit = commit_info(store, self.version)
        if mark_of(uri, self.version, self.commit) != mark:
            return False
        self.mark = self.newest = mark
        return True

    def _read(self, store: FileSystem) -> bool:
        found, version = dict(self.known), self.version
        with contextlib.suppress(*ABSENT):  # there is no such commit, which is looked up once more below
            while True:
                found |= _transactions_of(_commit(store, version + 1))
                version += 1
        self.known, self.version, self.commit = found, version, newest_commit(store, version)
        return self.commit is not None


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


def _commit(store: FileSystem, version: int) -> list[bytes]:
    """Return what one commit says, line by line."""
    with store.open_input_stream(f"{LOG}/{version:020}.json") as file:
        return list(file.read().splitlines())


def version_of(store: Callable[[], FileSystem], mark: bytes, first: int) -> int | None:
    """Return which commit from ``first`` on bears a mark; None where none does, or nobody can say."""
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    version = first
    with contextlib.suppress(OSError, pa.ArrowException, DeltaError):
        log = store()
        while True:
            if any(mark in line for line in _commit(log, version) if b'"commitInfo"' in line):
                return version
            version += 1
    return None


def _table(lines: list[bytes]) -> str:
    """Return the table's id, if the commit says it."""
    said = (json.loads(line).get("metaData") for line in lines if b'"metaData"' in line)
    return next((str(each["id"]) for each in said if each), "")


def _transactions_of(lines: list[bytes]) -> dict[str, int]:
    """Return a commit's transactions, all at once: a landing of a hundred files has as many.

    Raises:
        ValueError: the commit is not written as it should be.
    """
    found = _actions.decode(b"[" + b",".join([line for line in lines if b'"txn"' in line]) + b"]")
    return {action.txn.app: action.txn.version for action in found if action.txn is not None}


class _Transaction(msgspec.Struct, rename={"app": "appId"}):
    app: str
    version: int


class _Action(msgspec.Struct):
    txn: _Transaction | None = None


_actions = msgspec.json.Decoder(list[_Action])


def _checkpoint(store: FileSystem, newest: int | None = None) -> tuple[int, str, dict[str, int]]:
    """Return the version of the last checkpoint up to ``newest``, the table's id and its transactions; -1 without one.

    The file is read at once: through a file system, each of its columns is a call of its own.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        version = last_checkpoint(store)
        if version < 0 or (newest is not None and version > newest):
            return -1, "", {}
        with store.open_input_file(f"{LOG}/{version:020}.checkpoint.parquet") as file:
            whole = parquet.ParquetFile(pa.BufferReader(file.readall()))
        columns = ["txn.appId", "txn.version", "metaData.id"]
        rows = whole.read(columns=columns, use_threads=False).combine_chunks()
        said = rows["txn"].combine_chunks().drop_null()
        table = rows["metaData"].combine_chunks().drop_null().field("id").to_pylist()[0]
    except (*ABSENT, ValueError, KeyError, IndexError):
        return -1, "", {}
    names, versions = (said.field(name).to_numpy(zero_copy_only=False).tolist() for name in ("appId", "version"))
    return version, str(table), dict(zip(names, versions, strict=True))
