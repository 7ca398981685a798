"""The lake's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from platform_core.contracts.lake import TableName
from platform_core.testing.fakes.lake import InMemoryLake, Kept
from platform_core.testing.lake import LakeKit
from platform_core.testing.mutants import assert_catches


class TestInMemoryLake(LakeKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def lake(self) -> InMemoryLake:
        """Make a lake."""
        return InMemoryLake(name="kit")

    @pytest.fixture
    def opened_anew(self) -> InMemoryLake:
        """Open the same lake again."""
        return InMemoryLake(name="kit")


class LosesMicroseconds(InMemoryLake):
    """Breaks promise 1: times come back in milliseconds."""

    def read(self, table: TableName, **how: Any) -> pa.Table:
        rows = super().read(table, **how)
        coarse = {pa.timestamp("us", "UTC"): pa.timestamp("ms", "UTC")}
        return rows.cast(pa.schema([(f.name, coarse.get(f.type, f.type)) for f in rows.schema]))


class ShowsTheNewest(InMemoryLake):
    """Breaks promise 2: every version shows what is newest."""

    def read(self, table: TableName, *, version: int | None = None, **how: Any) -> pa.Table:
        return super().read(table, version=self.version(table) if version == 0 else version, **how)


class SkipsEmptyAppends(InMemoryLake):
    """Breaks promise 2: an append without rows makes no version."""

    def append(self, table: TableName, rows: pa.Table, transactions: Mapping[str, int] | None = None) -> int:
        return super().append(table, rows, transactions) if len(rows) else self.version(table) or 0


class Repeats(InMemoryLake):
    """Breaks promise 3: a transaction may be committed again."""

    def append(self, table: TableName, rows: pa.Table, transactions: Mapping[str, int] | None = None) -> int:
        kept = self.held.setdefault(table, Kept())
        self.keep(kept, rows, transactions or {})
        return len(kept.appends) - 1


class DropsRowsWithTheCommitted(InMemoryLake):
    """Breaks promise 3: one committed transaction of several is taken for all, and new rows are lost."""

    def append(self, table: TableName, rows: pa.Table, transactions: Mapping[str, int] | None = None) -> int:
        known = self.committed(table, list(transactions or {}))
        if any(known.get(app, -1) >= version for app, version in (transactions or {}).items()):
            return self.version(table) or 0
        return super().append(table, rows, transactions)


class TransactionsFirst(InMemoryLake):
    """Breaks promise 4: transactions stay when the rows are refused."""

    def keep(self, kept: Kept, rows: pa.Table, transactions: Mapping[str, int]) -> None:
        kept.committed.update(transactions)
        super().keep(kept, rows, transactions)


class LeavesTheLastDayOut(InMemoryLake):
    """Breaks promise 5: ``until`` is not included."""

    def read(self, table: TableName, *, until: Any = None, **how: Any) -> pa.Table:
        rows = super().read(table, until=until, **how)
        return rows if until is None else rows.slice(0, len(rows) - 1)


class LastWriterWins(InMemoryLake):
    """Breaks promise 6: two who append to a table that is not there yet each make it."""

    def append(self, table: TableName, rows: pa.Table, transactions: Mapping[str, int] | None = None) -> int:
        if (self.version(table) or 0) < 2:
            self.held.pop(table, None)
        return super().append(table, rows, transactions)


class OldColumnsOnly(InMemoryLake):
    """Breaks promise 7: columns that came later are dropped."""

    def keep(self, kept: Kept, rows: pa.Table, transactions: Mapping[str, int]) -> None:
        first = kept.appends[0].column_names if kept.appends else rows.column_names
        super().keep(kept, rows.select([name for name in rows.column_names if name in first]), transactions)


class EmptyForUnknown(InMemoryLake):
    """Breaks promise 8: a table that was never written reads as empty."""

    def read(self, table: TableName, **how: Any) -> pa.Table:
        return super().read(table, **how) if self.version(table) is not None else pa.table({})


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (LosesMicroseconds, "test_1_what_was_appended_is_read_back"),
        (ShowsTheNewest, "test_2_an_old_version_reads_the_same_for_ever"),
        (SkipsEmptyAppends, "test_2_an_old_version_reads_the_same_for_ever"),
        (Repeats, "test_3_a_committed_transaction_is_not_committed_again"),
        (DropsRowsWithTheCommitted, "test_3_a_committed_transaction_is_not_committed_again"),
        (TransactionsFirst, "test_4_rows_and_transactions_become_visible_together"),
        (LeavesTheLastDayOut, "test_5_reads_only_what_is_named"),
        (LastWriterWins, "test_6_writers_at_once_both_succeed"),
        (OldColumnsOnly, "test_7_new_columns_may_come"),
        (EmptyForUnknown, "test_8_a_table_never_written_does_not_exist"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryLake], test: str) -> None:
    """A lake that breaks one promise fails that promise's test."""
    needs: Sequence[str] = getattr(LakeKit, test).__code__.co_varnames[: getattr(LakeKit, test).__code__.co_argcount]
    lakes = {"lake": mutant(name=test), "opened_anew": mutant(name=test)}
    assert_catches(LakeKit, test, **{name: lake for name, lake in lakes.items() if name in needs})
