"""The lake's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import inspect
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.lake import Committed, Lake
from loopline.platform_core.contracts.lake_files import TableFiles
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.testing.fakes.lake import InMemoryLake, LakeTable
from loopline.platform_core.testing.fakes.lake_files import InMemoryLakeFiles
from loopline.platform_core.testing.lake import LakeKit, empty_beside
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs


class TestInMemoryLake(LakeKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def lake(self) -> InMemoryLake:
        return InMemoryLake(name="kit")

    @pytest.fixture
    def opened_anew(self) -> InMemoryLake:
        return InMemoryLake(name="kit")

    @pytest.fixture
    def elsewhere(self, lake: InMemoryLake) -> Lake:
        return empty_beside(lake)


def coarse(rows: pa.Table) -> pa.Table:
    """Tell times in milliseconds."""
    types = {pa.timestamp("us", "UTC"): pa.timestamp("ms", "UTC")}
    return rows.cast(pa.schema([(f.name, types.get(f.type, f.type)) for f in rows.schema]))


class Repeats(InMemoryLake):
    """Breaks promise 3: a transaction may be committed again."""

    def append(self, table, rows, transactions=None, after=None):
        kept = self.held.setdefault(table, LakeTable())
        self.keep(kept, rows, transactions or {})
        return len(kept.appends) - 1


class DropsRowsWithTheCommitted(InMemoryLake):
    """Breaks promise 3: one committed transaction of several is taken for all, and new rows are lost."""

    def append(self, table, rows, transactions=None, after=None):
        known = self.committed(table, list(transactions or {}))
        if any(known.get(app, -1) >= version for app, version in (transactions or {}).items()):
            return self.version(table) or 0
        return super().append(table, rows, transactions, after)


class TransactionsFirst(InMemoryLake):
    """Breaks promise 4: transactions stay when the rows are refused."""

    def keep(self, kept, rows, transactions):
        kept.committed.update(transactions)
        super().keep(kept, rows, transactions)


class LeavesTheLastDayOut(InMemoryLake):
    """Breaks promise 5: ``until`` is not included."""

    def read(self, table, *, until=None, **how):
        rows = super().read(table, until=until, **how)
        return rows if until is None else rows.slice(0, len(rows) - 1)


class LastWriterWins(InMemoryLake):
    """Breaks promise 6: two who append to a table that is not there yet each make it, one after the other."""

    turns: ClassVar = Lock()

    def append(self, table, rows, transactions=None, after=None):
        with self.turns:
            if (self.version(table) or 0) < 2:
                self.held.pop(table, None)
            return super().append(table, rows, transactions, after)


class OldColumnsOnly(InMemoryLake):
    """Breaks promise 7: columns that came later are dropped."""

    def keep(self, kept, rows, transactions):
        first = kept.appends[0].column_names if kept.appends else rows.column_names
        super().keep(kept, rows.select([name for name in rows.column_names if name in first]), transactions)


class LooksBeforeItLocks(InMemoryLake):
    """Breaks promise 9: what a writer builds on may change between the look and the commit."""

    def append(self, table, rows, transactions=None, after=None):
        known = self.committed(table, list(transactions or {}))
        if after is not None and any(known.get(app) != after.get(app) for app in transactions or {}):
            raise CommitConflict("stale", "begin again")
        time.sleep(0.05)  # whoever else looked commits meanwhile
        kept = self.held.setdefault(table, LakeTable())
        self.keep(kept, rows, transactions or {})
        return len(kept.appends) - 1


class NullsAreAmong(InMemoryLake):
    """Breaks promise 10: a null value is found by a null."""

    def read(self, table, *, among=None, **how):
        rows = super().read(table, **how | ({"columns": None} if among else {}))
        for column, values in (among or {}).items():
            rows = rows.filter(pc.is_in(rows[column], values.cast(rows[column].type)))
        return rows.select(how["columns"]) if how.get("columns") else rows


class TidiesTheKept(InMemoryLake):
    """Breaks promise 11: lets go of a version that was to be kept."""

    def tidy(self, table, keep, older_than):
        return replace(super().tidy(table, list(keep)[:1], older_than), versions=(*keep, self.version(table) or 0))


def forgets(method: str) -> dict[str, Any]:
    """Make a method after which nothing is known of what was committed."""

    def forgotten(up: Any, lake: InMemoryLake, table: str, *given: Any) -> Any:
        found = getattr(up, method)(table, *given)
        lake.held.get(table, LakeTable()).committed.clear()
        return found

    return {method: forgotten}


class DropsFromEveryVersion(InMemoryLake):
    """Breaks promise 13: old versions lose the days as well."""

    def drop_days(self, table, before):
        taken = super().drop_days(table, before)
        self.held[table].before.clear()
        return taken


class WritesAnEmptyDrop(InMemoryLake):
    """Breaks promise 13: a version is written though nothing went."""

    def drop_days(self, table, before):
        taken = super().drop_days(table, before)
        if not taken:
            self.append(table, pa.table({"_date": pa.array([], pa.date32())}))
        return taken


def in_one_folder(method: str) -> Any:
    """Make a method of a lake in which what two names have in common is taken for the table."""
    return lambda up, _, table, *given, **how: getattr(up, method)(table.replace(".", "__"), *given, **how)


class TakesAnothersMark(InMemoryLake):
    """Breaks promise 16: a mark of another table is taken for one of this."""

    def committed_since(self, table, mark):
        entries = mark.partition(" ")[2]
        own = self.held.get(table)
        return super().committed_since(table, f"{own.identity} {entries}" if own and entries else mark)


def since(told: Any) -> dict[str, Any]:
    """Make a lake tell something else of what was committed after a mark, where it tells of it."""

    def committed_since(up: Any, lake: InMemoryLake, table: str, mark: str) -> Committed | None:
        found = up.committed_since(table, mark)
        return found and told(lake, table, mark, found)

    return {"committed_since": committed_since}


class LogFirst(InMemoryLakeFiles):
    """The log comes before the rows that it names."""

    def of(self, table):
        found = super().of(table)
        return TableFiles(found.folder, found.log, found.data)


class NewestOnly(InMemoryLakeFiles):
    """The last version's log is left out."""

    def of(self, table):
        found = super().of(table)
        return TableFiles(found.folder, found.data, found.log[:-1])


class Wordless(InMemoryLakeFiles):
    """Transactions stay behind."""

    def put(self, path, content):
        if "/log/" in path:
            content.write_text("{}")
        super().put(path, content)


class ErasesTheNewest(InMemoryLake):
    """Breaks promise 18: older versions hold what was erased."""

    def erase(self, table, among):
        newest = self.existing(table, None)
        kept = self.held[table]
        before = {newest: kept.appends} | kept.before
        count = super().erase(table, among)
        if count:
            kept.before = before
            kept.appends = [*kept.appends, kept.appends[0].slice(0, 0)]
        return count


made = partial(mutant, InMemoryLake)
CAUGHT = {
    "test_1_what_was_appended_is_read_back": [
        # times come back in milliseconds
        made("LosesMicroseconds", read=lambda up, _, table, **how: coarse(up.read(table, **how))),
    ],
    "test_2_an_old_version_reads_the_same_for_ever": [
        # every version shows what is newest
        made("ShowsTheNewest", read=lambda up, _, t, version=None, **how: up.read(t, version=version or None, **how)),
        # an append without rows makes no version
        made(
            "SkipsEmptyAppends",
            append=lambda up, _, t, rows, *more: up.append(t, rows, *more) if len(rows) else up.version(t) or 0,
        ),
    ],
    "test_3_a_committed_transaction_is_not_committed_again": [Repeats, DropsRowsWithTheCommitted],
    "test_4_rows_and_transactions_become_visible_together": [TransactionsFirst],
    "test_5_reads_only_what_is_named": [LeavesTheLastDayOut],
    "test_6_writers_at_once_both_succeed": [LastWriterWins],
    "test_7_new_columns_may_come": [OldColumnsOnly],
    "test_8_a_table_never_written_does_not_exist": [
        # it reads as empty
        made(
            "EmptyForUnknown", read=lambda up, _, t, **how: pa.table({}) if up.version(t) is None else up.read(t, **how)
        ),
    ],
    "test_9_a_stale_writer_writes_nothing": [
        # does not look at what a writer builds on
        made("NeverStale", append=lambda up, _, t, rows, written=None, after=None: up.append(t, rows, written)),
    ],
    "test_9_of_writers_at_once_one_goes_on": [LooksBeforeItLocks],
    "test_10_among_reads_only_what_is_given": [
        NullsAreAmong,
        # only the first column narrows
        made(
            "AmongTheFirstOnly",
            read=lambda up, _, t, among=None, **how: up.read(t, among=dict([*(among or {}).items()][:1]), **how),
        ),
    ],
    "test_11_tidy_keeps_rows_and_lets_versions_go": [
        TidiesTheKept,
        # age does not matter
        made("TidiesTheYoung", tidy=lambda up, _, table, keep, _older_than: up.tidy(table, keep, timedelta(0))),
        # lets nothing go
        made("TidiesNothing", tidy=lambda up, _, table, keep, age: up.tidy(table, keep, age or timedelta(days=1))),
        # tidying loses what was committed
        made("ForgetsTransactions", **forgets("tidy")),
    ],
    "test_11_tidy_needs_what_it_is_to_keep": [
        # a version to keep need not exist
        made(
            "KeepsWhatIsNotThere",
            tidy=lambda up, _, t, keep, age: up.tidy(t, [v for v in keep if v <= (up.version(t) or 0)], age),
        ),
    ],
    "test_12_newer_than_reads_only_what_was_appended_since": [
        # what the version itself added is taken for newer
        made(
            "NewerOrAsOld",
            read=lambda up, _, t, newer_than=None, **how: up.read(t, newer_than=newer_than and newer_than - 1, **how),
        ),
        # shows what was added after the version that is read
        made(
            "NewerButNotYetThen",
            read=lambda up, _, t, newer_than=None, **how: up.read(
                t, newer_than=newer_than, **how | ({} if newer_than is None else {"version": None})
            ),
        ),
    ],
    "test_13_drop_days_takes_whole_days": [
        # the day that is to be the first goes too
        made(
            "DropsTheDayItself", drop_days=lambda up, _, table, before: up.drop_days(table, before + timedelta(days=1))
        ),
        DropsFromEveryVersion,
        # transactions are forgotten with the days
        made("DropsWhatWasCommitted", **forgets("drop_days")),
        WritesAnEmptyDrop,
    ],
    "test_14_names_that_are_alike_are_two_tables": [
        made("SharesAFolder", **{method: in_one_folder(method) for method in ("append", "read", "committed")}),
        # tables are listed by the folders in which they lie
        made("ListsFolders", tables=lambda up, _: [table.replace(".", "__") for table in up.tables()]),
    ],
    "test_15_every_transaction_is_told_of": [
        # who names no application hears of none
        made("TellsOfNoneUnasked", committed=lambda up, _, table, apps=None: up.committed(table, apps or ())),
    ],
    "test_16_committed_since_tells_what_came_after_a_mark": [
        # what was committed before the mark is told of as well
        made(
            "TellsOfAllSince", **since(lambda lake, table, _mark, found: Committed(lake.committed(table), found.mark))
        ),
        TakesAnothersMark,
        # who goes on from the new mark hears the same again
        made("MarksNoFurther", **since(lambda _lake, _table, mark, found: found._replace(mark=mark))),
        # what others committed since is not told of
        made("HearsItselfOnly", **since(lambda _lake, _table, _mark, found: Committed({}, found.mark))),
    ],
    "test_17_a_copy_of_its_files_is_the_table": [
        # a reader of the copy sees what is not there yet
        made("NewestFirst", files=lambda _, lake: LogFirst(lake)),
        # not every version is moved
        made("LosesTheLastVersion", files=lambda _, lake: NewestOnly(lake)),
        # what was committed is not known to the copy
        made("LeavesTransactions", files=lambda _, lake: Wordless(lake)),
    ],
    "test_18_what_is_erased_is_in_no_version": [
        ErasesTheNewest,
        # one column that fits is enough, and others lose their rows
        made(
            "ErasesByAnyColumn",
            erase=lambda up, _, t, among: sum(up.erase(t, {name: held}) for name, held in among.items()),
        ),
        # what was committed is forgotten with the rows
        made("ErasesTransactions", **forgets("erase")),
    ],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_the_kit_catches(mutant: type[InMemoryLake], test: str, tmp_path: Path) -> None:
    """A lake that breaks one promise fails that promise's test."""
    needs = inspect.signature(getattr(LakeKit, test)).parameters
    lakes = {"lake": mutant(name=test), "opened_anew": mutant(name=test), "elsewhere": mutant(name=f"not-{test}")}
    given = {**lakes, "tmp_path": tmp_path}
    assert_catches(LakeKit, test, **{name: value for name, value in given.items() if name in needs})
