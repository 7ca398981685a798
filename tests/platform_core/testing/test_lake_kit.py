"""The lake's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import inspect
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.lake import Committed, Lake, TableName, Tidied
from loopline.platform_core.contracts.lake_files import TableFiles
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.testing.fakes.lake import InMemoryLake, LakeTable
from loopline.platform_core.testing.fakes.lake_files import InMemoryLakeFiles
from loopline.platform_core.testing.lake import LakeKit, empty_beside
from loopline.platform_core.testing.mutants import assert_catches

Transactions = Mapping[str, int] | None


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

    @pytest.fixture
    def elsewhere(self, lake: InMemoryLake) -> Lake:
        """Make another one."""
        return empty_beside(lake)


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

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        return super().append(table, rows, transactions, after) if len(rows) else self.version(table) or 0


class Repeats(InMemoryLake):
    """Breaks promise 3: a transaction may be committed again."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        kept = self.held.setdefault(table, LakeTable())
        self.keep(kept, rows, transactions or {})
        return len(kept.appends) - 1


class DropsRowsWithTheCommitted(InMemoryLake):
    """Breaks promise 3: one committed transaction of several is taken for all, and new rows are lost."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        known = self.committed(table, list(transactions or {}))
        if any(known.get(app, -1) >= version for app, version in (transactions or {}).items()):
            return self.version(table) or 0
        return super().append(table, rows, transactions, after)


class TransactionsFirst(InMemoryLake):
    """Breaks promise 4: transactions stay when the rows are refused."""

    def keep(self, kept: LakeTable, rows: pa.Table, transactions: Mapping[str, int]) -> None:
        kept.committed.update(transactions)
        super().keep(kept, rows, transactions)


class LeavesTheLastDayOut(InMemoryLake):
    """Breaks promise 5: ``until`` is not included."""

    def read(self, table: TableName, *, until: Any = None, **how: Any) -> pa.Table:
        rows = super().read(table, until=until, **how)
        return rows if until is None else rows.slice(0, len(rows) - 1)


class LastWriterWins(InMemoryLake):
    """Breaks promise 6: two who append to a table that is not there yet each make it."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        if (self.version(table) or 0) < 2:
            self.held.pop(table, None)
        return super().append(table, rows, transactions, after)


class OldColumnsOnly(InMemoryLake):
    """Breaks promise 7: columns that came later are dropped."""

    def keep(self, kept: LakeTable, rows: pa.Table, transactions: Mapping[str, int]) -> None:
        first = kept.appends[0].column_names if kept.appends else rows.column_names
        super().keep(kept, rows.select([name for name in rows.column_names if name in first]), transactions)


class EmptyForUnknown(InMemoryLake):
    """Breaks promise 8: a table that was never written reads as empty."""

    def read(self, table: TableName, **how: Any) -> pa.Table:
        return super().read(table, **how) if self.version(table) is not None else pa.table({})


class NeverStale(InMemoryLake):
    """Breaks promise 9: does not look at what a writer builds on."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        return super().append(table, rows, transactions)


class LooksBeforeItLocks(InMemoryLake):
    """Breaks promise 9: what a writer builds on may change between the look and the commit."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        known = self.committed(table, list(transactions or {}))
        if after is not None and any(known.get(app) != after.get(app) for app in transactions or {}):
            raise CommitConflict("stale", "begin again")
        time.sleep(0.01)
        kept = self.held.setdefault(table, LakeTable())
        self.keep(kept, rows, transactions or {})
        return len(kept.appends) - 1


class NullsAreAmong(InMemoryLake):
    """Breaks promise 10: a null value is found by a null."""

    def read(self, table: TableName, *, among: Any = None, **how: Any) -> pa.Table:
        rows = super().read(table, **how | ({"columns": None} if among else {}))
        for column, values in (among or {}).items():
            rows = rows.filter(pc.is_in(rows[column], values.cast(rows[column].type)))
        return rows.select(how["columns"]) if how.get("columns") else rows


class AmongTheFirstOnly(InMemoryLake):
    """Breaks promise 10: only the first column narrows."""

    def read(self, table: TableName, *, among: Any = None, **how: Any) -> pa.Table:
        return super().read(table, among=dict(list((among or {}).items())[:1]), **how)


class TidiesTheKept(InMemoryLake):
    """Breaks promise 11: lets go of a version that was to be kept."""

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        return replace(super().tidy(table, list(keep)[:1], older_than), versions=(*keep, self.version(table) or 0))


class TidiesTheYoung(InMemoryLake):
    """Breaks promise 11: age does not matter."""

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        return super().tidy(table, keep, timedelta(0))


class TidiesNothing(InMemoryLake):
    """Breaks promise 11: lets nothing go."""

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        return super().tidy(table, keep, older_than or timedelta(days=1))


class ForgetsTransactions(InMemoryLake):
    """Breaks promise 11: tidying loses what was committed."""

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        tidied = super().tidy(table, keep, older_than)
        self.held[table].committed.clear()
        return tidied


class KeepsWhatIsNotThere(InMemoryLake):
    """Breaks promise 11: a version to keep need not exist."""

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        return super().tidy(table, [version for version in keep if version <= (self.version(table) or 0)], older_than)


class NewerOrAsOld(InMemoryLake):
    """Breaks promise 12: what the version itself added is taken for newer."""

    def read(self, table: TableName, *, newer_than: int | None = None, **how: Any) -> pa.Table:
        return super().read(table, newer_than=newer_than and newer_than - 1, **how)


class NewerButNotYetThen(InMemoryLake):
    """Breaks promise 12: shows what was added after the version that is read."""

    def read(self, table: TableName, *, newer_than: int | None = None, **how: Any) -> pa.Table:
        return super().read(table, newer_than=newer_than, **how | ({"version": None} if newer_than is not None else {}))


class DropsTheDayItself(InMemoryLake):
    """Breaks promise 13: the day that is to be the first goes too."""

    def drop_days(self, table: TableName, before: date) -> int:
        return super().drop_days(table, before + timedelta(days=1))


class DropsFromEveryVersion(InMemoryLake):
    """Breaks promise 13: old versions lose the days as well."""

    def drop_days(self, table: TableName, before: date) -> int:
        taken = super().drop_days(table, before)
        self.held[table].before.clear()
        return taken


class DropsWhatWasCommitted(InMemoryLake):
    """Breaks promise 13: transactions are forgotten with the days."""

    def drop_days(self, table: TableName, before: date) -> int:
        self.held.get(table, LakeTable()).committed.clear()
        return super().drop_days(table, before)


class WritesAnEmptyDrop(InMemoryLake):
    """Breaks promise 13: a version is written though nothing went."""

    def drop_days(self, table: TableName, before: date) -> int:
        taken = super().drop_days(table, before)
        if not taken:
            self.append(table, pa.table({"_date": pa.array([], pa.date32())}))
        return taken


class SharesAFolder(InMemoryLake):
    """Breaks promise 14: what two names have in common is taken for the table."""

    def append(
        self, table: TableName, rows: pa.Table, transactions: Transactions = None, after: Transactions = None
    ) -> int:
        return super().append(table.replace(".", "__"), rows, transactions, after)

    def read(self, table: TableName, **how: Any) -> pa.Table:
        return super().read(table.replace(".", "__"), **how)

    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        return super().committed(table.replace(".", "__"), applications)


class ListsFolders(InMemoryLake):
    """Breaks promise 14: tables are listed by the folders in which they lie."""

    def tables(self) -> Sequence[TableName]:
        return [table.replace(".", "__") for table in super().tables()]


class TellsOfNoneUnasked(InMemoryLake):
    """Breaks promise 15: who names no application hears of none."""

    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        return super().committed(table, applications or ())


class TellsOfAllSince(InMemoryLake):
    """Breaks promise 16: what was committed before the mark is told of as well."""

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        found = super().committed_since(table, mark)
        return found and Committed(self.committed(table), found.mark)


class TakesAnothersMark(InMemoryLake):
    """Breaks promise 16: a mark of another table is taken for one of this."""

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        entries = mark.partition(" ")[2]
        own = self.held.get(table)
        return super().committed_since(table, f"{own.identity} {entries}" if own and entries else mark)


class MarksNoFurther(InMemoryLake):
    """Breaks promise 16: who goes on from the new mark hears the same again."""

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        found = super().committed_since(table, mark)
        return found and found._replace(mark=mark)


class HearsItselfOnly(InMemoryLake):
    """Breaks promise 16: what others committed since is not told of."""

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        found = super().committed_since(table, mark)
        return found and Committed({}, found.mark)


class LogFirst(InMemoryLakeFiles):
    """Breaks promise 17: the log comes before the rows that it names."""

    def of(self, table: TableName) -> TableFiles:
        found = super().of(table)
        return TableFiles(found.folder, found.log, found.data)


class NewestFirst(InMemoryLake):
    """Breaks promise 17: a reader of the copy sees what is not there yet."""

    def files(self) -> LogFirst:
        return LogFirst(self)


class NewestOnly(InMemoryLakeFiles):
    """Breaks promise 17: the last version's log is left out."""

    def of(self, table: TableName) -> TableFiles:
        found = super().of(table)
        return TableFiles(found.folder, found.data, found.log[:-1])


class LosesTheLastVersion(InMemoryLake):
    """Breaks promise 17: not every version is moved."""

    def files(self) -> NewestOnly:
        return NewestOnly(self)


class Wordless(InMemoryLakeFiles):
    """Breaks promise 17: transactions stay behind."""

    def put(self, path: str, content: Path) -> None:
        if "/log/" in path:
            content.write_text("{}")
        super().put(path, content)


class LeavesTransactions(InMemoryLake):
    """Breaks promise 17: what was committed is not known to the copy."""

    def files(self) -> Wordless:
        return Wordless(self)


class ErasesTheNewest(InMemoryLake):
    """Breaks promise 18: older versions hold what was erased."""

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        newest = self.existing(table, None)
        kept = self.held[table]
        before = {newest: kept.appends} | kept.before
        count = super().erase(table, among)
        if count:
            kept.before = before
            kept.appends = [*kept.appends, kept.appends[0].slice(0, 0)]
        return count


class ErasesByAnyColumn(InMemoryLake):
    """Breaks promise 18: one column that fits is enough, and others lose their rows."""

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        return sum(super(ErasesByAnyColumn, self).erase(table, {name: held}) for name, held in among.items())


class ErasesTransactions(InMemoryLake):
    """Breaks promise 18: what was committed is forgotten with the rows."""

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        count = super().erase(table, among)
        self.held[table].committed.clear()
        return count


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
        (NeverStale, "test_9_a_stale_writer_writes_nothing"),
        (LooksBeforeItLocks, "test_9_of_writers_at_once_one_goes_on"),
        (NullsAreAmong, "test_10_among_reads_only_what_is_given"),
        (AmongTheFirstOnly, "test_10_among_reads_only_what_is_given"),
        (TidiesTheKept, "test_11_tidy_keeps_rows_and_lets_versions_go"),
        (TidiesTheYoung, "test_11_tidy_keeps_rows_and_lets_versions_go"),
        (TidiesNothing, "test_11_tidy_keeps_rows_and_lets_versions_go"),
        (ForgetsTransactions, "test_11_tidy_keeps_rows_and_lets_versions_go"),
        (KeepsWhatIsNotThere, "test_11_tidy_needs_what_it_is_to_keep"),
        (NewerOrAsOld, "test_12_newer_than_reads_only_what_was_appended_since"),
        (NewerButNotYetThen, "test_12_newer_than_reads_only_what_was_appended_since"),
        (DropsTheDayItself, "test_13_drop_days_takes_whole_days"),
        (DropsFromEveryVersion, "test_13_drop_days_takes_whole_days"),
        (DropsWhatWasCommitted, "test_13_drop_days_takes_whole_days"),
        (WritesAnEmptyDrop, "test_13_drop_days_takes_whole_days"),
        (SharesAFolder, "test_14_names_that_are_alike_are_two_tables"),
        (ListsFolders, "test_14_names_that_are_alike_are_two_tables"),
        (TellsOfNoneUnasked, "test_15_every_transaction_is_told_of"),
        (TellsOfAllSince, "test_16_committed_since_tells_what_came_after_a_mark"),
        (TakesAnothersMark, "test_16_committed_since_tells_what_came_after_a_mark"),
        (MarksNoFurther, "test_16_committed_since_tells_what_came_after_a_mark"),
        (HearsItselfOnly, "test_16_committed_since_tells_what_came_after_a_mark"),
        (NewestFirst, "test_17_a_copy_of_its_files_is_the_table"),
        (LosesTheLastVersion, "test_17_a_copy_of_its_files_is_the_table"),
        (LeavesTransactions, "test_17_a_copy_of_its_files_is_the_table"),
        (ErasesTheNewest, "test_18_what_is_erased_is_in_no_version"),
        (ErasesByAnyColumn, "test_18_what_is_erased_is_in_no_version"),
        (ErasesTransactions, "test_18_what_is_erased_is_in_no_version"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryLake], test: str, tmp_path: Path) -> None:
    """A lake that breaks one promise fails that promise's test."""
    needs = inspect.signature(getattr(LakeKit, test)).parameters
    lakes = {"lake": mutant(name=test), "opened_anew": mutant(name=test), "elsewhere": mutant(name=f"not-{test}")}
    given = {**lakes, "tmp_path": tmp_path}
    assert_catches(LakeKit, test, **{name: value for name, value in given.items() if name in needs})
