"""Conformance kit of lakes.

Subclass ``LakeKit`` and give two fixtures: ``lake``, and ``opened_anew``, a second instance on the same tables as
another process would make it. The lake may hold tables of other tests. A lake that ``can`` ``files`` is also given
``elsewhere``, an empty one of the same vendor, such as ``empty_beside`` makes; of one that
cannot it is None.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.lake import ERASES, Lake
from loopline.platform_core.contracts.lake_files import FILES
from loopline.platform_core.errors import CommitConflict, ContractBroken, NotFound
from loopline.platform_core.testing.parts.expect import claimed, raises, skip

if TYPE_CHECKING:
    import pyarrow as pa

NOON = datetime(2020, 1, 2, 12, tzinfo=UTC)


def new_table() -> str:
    """Name a table that no test has used."""
    return f"kit/raw/{uuid.uuid4().hex}"


def numbered(*numbers: int, day: int = 1, **more: Any) -> pa.Table:
    """Make rows with ``n`` and the partition column."""
    import pyarrow as pa

    days = pa.array([date(2020, 1, day)] * len(numbers), pa.date32())
    return pa.table({"n": pa.array(numbers, pa.int64()), "_date": days, **more})


def every_type() -> pa.Table:
    """Make two rows of all types that the platform keeps, the second all null but for its date."""
    import pyarrow as pa

    return pa.table(
        {
            "text": pa.array(["ä", None], pa.string()),
            "whole": pa.array([2**60, None], pa.int64()),
            "small": pa.array([7, None], pa.int32()),
            "number": pa.array([0.1, None], pa.float64()),
            "truth": pa.array([True, None], pa.bool_()),
            "day": pa.array([date(1960, 2, 29), None], pa.date32()),
            "instant": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "texts": pa.array([["a", "b"], None], pa.list_(pa.string())),
            "_date": pa.array([date(2020, 1, 2), date(2020, 1, 3)], pa.date32()),
        }
    )


def numbers(lake: Lake, table: str, **how: Any) -> list[int]:
    """Read ``n``, sorted."""
    return sorted(lake.read(table, columns=["n"], **how)["n"].to_pylist())


def empty_beside(lake: Lake) -> Lake:
    """Open an empty lake of the same vendor, below the root of one that has a root."""
    settings = lake.model_dump()
    named = (
        {"root": f"{settings['root']}/elsewhere"} if "root" in settings else {"name": f"elsewhere-{uuid.uuid4().hex}"}
    )
    return type(lake)(**settings | named)


class LakeKit:
    """One test a promise."""

    def test_1_what_was_appended_is_read_back(self, lake: Lake) -> None:
        """Rows come back equal and of the same types; other spellings of a type become the plain one."""
        import pyarrow as pa

        table, rows = new_table(), every_type()
        lake.append(table, rows)
        assert lake.read(table).select(rows.column_names).sort_by("_date").equals(rows)
        odd = {"s": pa.array(["x"]).dictionary_encode(), "l": pa.array(["y"], pa.large_string())}
        odd["t"] = pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns"))
        table = new_table()
        lake.append(table, pa.table(odd))
        plain = pa.schema([("s", pa.string()), ("l", pa.string()), ("t", pa.timestamp("us", "UTC"))])
        assert lake.read(table).schema.equals(plain)
        assert lake.read(table).to_pylist() == [{"s": "x", "l": "y", "t": NOON}]

    def test_2_an_old_version_reads_the_same_for_ever(self, lake: Lake, opened_anew: Lake) -> None:
        """Each append makes a version, also one without rows, and none changes what an earlier one shows."""
        table = new_table()
        versions = [lake.append(table, numbered(1)), lake.append(table, numbered(2)), lake.append(table, numbered())]
        versions.append(lake.append(table, numbered(3)))
        assert len(set(versions)) == 4
        assert versions == sorted(versions)
        shown = [numbers(opened_anew, table, version=version) for version in versions]
        assert shown == [[1], [1, 2], [1, 2], [1, 2, 3]]
        assert lake.version(table) == opened_anew.version(table) == versions[-1]

    def test_3_a_committed_transaction_is_not_committed_again(self, lake: Lake, opened_anew: Lake) -> None:
        """A repeated append adds nothing, nor an older one; where only some are committed, none is written."""
        table = new_table()
        version = lake.append(table, numbered(1), {"a": 0, "b": 7})
        assert lake.committed(table, ["a", "b", "c"]) == {"a": 0, "b": 7}
        assert opened_anew.append(table, numbered(1), {"a": 0, "b": 7}) == version
        assert lake.append(table, numbered(1), {"b": 6}) == version
        with raises(CommitConflict):
            lake.append(table, numbered(1, 2), {"b": 7, "c": 1})
        assert numbers(lake, table) == [1]
        lake.append(table, numbered(2), {"b": 8})
        assert numbers(lake, table) == [1, 2]
        assert opened_anew.committed(table, ["b"]) == {"b": 8}

    def test_4_rows_and_transactions_become_visible_together(self, lake: Lake, opened_anew: Lake) -> None:
        """A refused append leaves neither; whoever reads while others write never sees one without the other."""
        table = new_table()
        lake.append(table, numbered(0), {"app": 0})
        with raises(ContractBroken):
            lake.append(table, numbered(1).set_column(0, "n", [["one"]]), {"app": 1})
        assert (lake.committed(table, ["app"]), numbers(lake, table)) == ({"app": 0}, [0])
        with ThreadPoolExecutor(1) as writer:
            writing = writer.submit(lambda: [lake.append(table, numbered(n), {"app": n}) for n in range(1, 8)])
            while not writing.done():
                seen = numbers(opened_anew, table)
                committed = opened_anew.committed(table, ["app"])["app"]
                assert seen[-1] <= committed <= numbers(opened_anew, table)[-1]
            writing.result()
        assert numbers(lake, table) == list(range(8))

    def test_5_reads_only_what_is_named(self, lake: Lake) -> None:
        """Bounds of dates are included; columns come in the order asked."""
        table = new_table()
        for day in (1, 2, 3, 4):
            lake.append(table, numbered(day, day=day, more=[0.5]))
        assert numbers(lake, table, since=date(2020, 1, 2), until=date(2020, 1, 3)) == [2, 3]
        assert numbers(lake, table, since=date(2020, 1, 4)) == [4]
        assert numbers(lake, table, until=date(2020, 1, 1)) == [1]
        assert lake.read(table, columns=["more", "n"]).column_names == ["more", "n"]

    def test_6_writers_at_once_both_succeed(self, lake: Lake, opened_anew: Lake) -> None:
        """Nothing is lost where several append at once, to a table that is not there yet too; repeats add nothing."""
        for table in (new_table(), new_table(), new_table()):
            writers = [(lake, 1), (opened_anew, 2), (lake, 3), (opened_anew, 3)]
            with ThreadPoolExecutor(len(writers)) as pool:
                appends = [pool.submit(w.append, table, numbered(n), {f"w{n}": 1}) for w, n in writers]
                versions = [append.result() for append in appends]
            assert numbers(lake, table) == [1, 2, 3]
            assert max(versions) == lake.version(table)

    def test_7_new_columns_may_come(self, lake: Lake) -> None:
        """Older rows read null in a column that came later, and so do later rows in one that went."""
        import pyarrow as pa

        table = new_table()
        lake.append(table, numbered(1, old=["x"]))
        lake.append(table, numbered(2, new=pa.array([0.5], pa.float64())))
        rows = lake.read(table).sort_by("n").to_pylist()
        assert [(row["n"], row["old"], row.get("new")) for row in rows] == [(1, "x", None), (2, None, 0.5)]

    def test_8_a_table_never_written_does_not_exist(self, lake: Lake) -> None:
        """Version None, nothing committed, and reading it, or a version that is not there, says so."""
        table = new_table()
        assert lake.version(table) is None
        assert lake.committed(table, ["a"]) == {}
        with raises(NotFound):
            lake.read(table)
        assert table not in lake.tables()
        lake.append(table, numbered(1))
        assert table in lake.tables()
        with raises(NotFound):
            lake.read(table, version=99)

    def test_9_a_stale_writer_writes_nothing(self, lake: Lake, opened_anew: Lake) -> None:
        """Who builds on what another has gone on from is refused, also where the table was not there yet."""
        table = new_table()
        lake.append(table, numbered(1), {"a": 1}, after={})
        for stale in ({}, {"a": 0}, {"a": 2}):
            with raises(CommitConflict):
                opened_anew.append(table, numbered(2), {"a": 5}, after=stale)
        with raises(CommitConflict):
            lake.append(table, numbered(1), {"a": 1}, after={})
        opened_anew.append(table, numbered(2), {"a": 5}, after={"a": 1, "other": 7})
        lake.append(table, numbered(3), {"b": 1}, after={"a": 1})
        assert numbers(lake, table) == [1, 2, 3]
        assert lake.committed(table, ["a", "b"]) == {"a": 5, "b": 1}

    def test_9_of_writers_at_once_one_goes_on(self, lake: Lake, opened_anew: Lake) -> None:
        """Where several build on the same, exactly one is let through, and its rows and transaction are there."""
        for start, table in enumerate((new_table(), new_table(), new_table())):
            base = {"a": start} if start else {}
            if base:
                lake.append(table, numbered(), base)
            with ThreadPoolExecutor(4) as pool:
                appends = [
                    pool.submit(writer.append, table, numbered(n), {"a": 10 + n}, base)
                    for n, writer in enumerate([lake, opened_anew, lake, opened_anew])
                ]
            won = [n for n, append in enumerate(appends) if append.exception() is None]
            assert all(isinstance(a.exception(), CommitConflict | None) for a in appends)
            assert len(won) == 1
            assert numbers(opened_anew, table) == won
            assert opened_anew.committed(table, ["a"]) == {"a": 10 + won[0]}

    def test_10_among_reads_only_what_is_given(self, lake: Lake) -> None:
        """Values of several columns narrow each other; nulls and unknown values bring nothing."""
        import pyarrow as pa

        table = new_table()
        lake.append(table, numbered(1, 2, 3, 4, text=pa.array(["x", None, "y", "y"])))
        lake.append(table, numbered(3, day=2, text=["x"]))
        some = pa.array([2, 3, 3, 9, None], pa.int64())
        assert numbers(lake, table, among={"n": some}) == [2, 3, 3]
        assert numbers(lake, table, among={"text": pa.array(["y", "z", None])}) == [3, 4]
        assert numbers(lake, table, among={"n": some, "text": pa.array(["x"])}) == [3]
        assert numbers(lake, table, among={"n": some}, until=date(2020, 1, 1)) == [2, 3]
        assert numbers(lake, table, among={"n": some.slice(0, 0)}) == []
        assert numbers(lake, table, among={"n": some}, version=0) == [2, 3]

    def test_11_tidy_keeps_rows_and_lets_versions_go(self, lake: Lake, opened_anew: Lake) -> None:
        """The newest and the kept version read as before, others are gone, and transactions stay committed."""
        table = new_table()
        versions = [lake.append(table, numbered(n, day=1 + n % 2), {"a": n}) for n in range(6)]
        young = lake.tidy(table, [], timedelta(days=1))
        assert [numbers(opened_anew, table, version=version) for version in versions] == [
            list(range(n + 1)) for n in range(6)
        ]
        tidied = lake.tidy(table, [versions[1], versions[3]], timedelta(0))
        if FILES in lake.can:
            assert young.files_before == 6
            assert young.files_after <= 2
            assert tidied.files_deleted > 0
        assert tidied.versions[:2] == (versions[1], versions[3])
        assert tidied.versions[2] >= versions[-1]
        for version, shown in ((versions[1], 2), (versions[3], 4), (tidied.versions[2], 6), (None, 6)):
            assert numbers(opened_anew, table, version=version) == list(range(shown))
        with raises(NotFound):  # what older ones hold is held by the kept ones, so that they may stay
            opened_anew.read(table, version=versions[4])
        assert opened_anew.committed(table, ["a"]) == {"a": 5}
        opened_anew.append(table, numbered(9), {"a": 5})
        opened_anew.append(table, numbered(6), {"a": 6}, after={"a": 5})
        assert numbers(lake, table) == [0, 1, 2, 3, 4, 5, 6]

    def test_11_tidy_needs_what_it_is_to_keep(self, lake: Lake) -> None:
        """A table that was never written cannot be tidied, nor a version kept that does not exist; again is no harm."""
        table = new_table()
        with raises(NotFound):
            lake.tidy(table, [], timedelta(0))
        lake.append(table, numbered(1, more=["x"]))
        lake.append(table, numbered(2))
        with raises(NotFound):
            lake.tidy(table, [99], timedelta(0))
        for _ in range(3):
            lake.tidy(table, [], timedelta(0))
            assert sorted(lake.read(table)["more"].to_pylist(), key=str) == [None, "x"]

    def test_12_newer_than_reads_only_what_was_appended_since(self, lake: Lake, opened_anew: Lake) -> None:
        """Rows that a version does not hold come back, of other days and new columns too; merging adds none."""
        table = new_table()
        versions = [lake.append(table, numbered(n, day=1 + n % 2)) for n in range(3)]
        versions.append(lake.append(table, numbered(3, 4, new=["x", "y"])))
        lake.append(table, numbered())
        newest = lake.append(table, numbered(5))
        for _ in range(2):
            assert numbers(opened_anew, table, newer_than=versions[0]) == [1, 2, 3, 4, 5]
            assert numbers(opened_anew, table, newer_than=versions[0], version=versions[3]) == [1, 2, 3, 4]
            assert numbers(opened_anew, table, newer_than=versions[2], until=date(2020, 1, 1)) == [3, 4, 5]
            newer = opened_anew.read(table, newer_than=versions[2], columns=["new", "n"])
            assert newer.sort_by("n").to_pylist() == [{"new": a, "n": n} for a, n in (("x", 3), ("y", 4), (None, 5))]
            assert newer.schema == opened_anew.read(table, columns=["new", "n"]).schema
            assert numbers(opened_anew, table, newer_than=newest) == []
            lake.tidy(table, [], timedelta(days=1))

    def test_13_drop_days_takes_whole_days(self, lake: Lake, opened_anew: Lake) -> None:
        """Days before the date go from the newest version alone; later appends stay, and so do transactions."""
        table = new_table()
        versions = [lake.append(table, numbered(n, day=n), {"a": n}) for n in range(1, 5)]
        assert lake.drop_days(table, date(2020, 1, 3)) == 2
        assert numbers(opened_anew, table) == [3, 4]
        assert numbers(opened_anew, table, version=versions[1]) == [1, 2]
        assert numbers(opened_anew, table, version=versions[3]) == [1, 2, 3, 4]
        assert opened_anew.committed(table, ["a"]) == {"a": 4}
        before = lake.version(table)
        assert lake.drop_days(table, date(2020, 1, 3)) == 0
        assert lake.version(table) == before
        opened_anew.append(table, numbered(9, day=1), {"a": 5}, after={"a": 4})
        assert numbers(lake, table) == [3, 4, 9]
        assert numbers(lake, table, newer_than=versions[2]) == [4, 9]  # what was taken was not added
        assert opened_anew.drop_days(table, date(2020, 1, 2)) == 1
        assert numbers(lake, table) == [3, 4]
        lake.tidy(table, [], timedelta(days=1))
        before = lake.version(table)
        assert opened_anew.drop_days(table, date(2020, 1, 4)) == 1  # whatever lies beside them
        assert numbers(lake, table) == [4]
        assert numbers(lake, table, newer_than=before) == []
        with raises(NotFound):
            lake.drop_days(new_table(), date(2020, 1, 1))

    def test_14_names_that_are_alike_are_two_tables(self, lake: Lake, opened_anew: Lake) -> None:
        """A dot, and what may stand for it in a folder: each has its own rows and transactions, or is refused."""
        for order in permutations((".v2", "__v2", "_v2")):
            base = new_table()
            written: dict[str, int] = {}
            for n, end in enumerate(order):
                try:
                    lake.append(base + end, numbered(n), {"app": n})
                    written[base + end] = n
                except ContractBroken:
                    assert written or end == "__v2", "a name that is like no other was refused"
            for side in (lake, opened_anew):
                assert [numbers(side, name) for name in written] == [[n] for n in written.values()]
                assert [side.committed(name, ["app"]) for name in written] == [{"app": n} for n in written.values()]
                assert [name for name in side.tables() if name.startswith(base)] == sorted(written)

    def test_15_every_transaction_is_told_of(self, lake: Lake, opened_anew: Lake) -> None:
        """Who names no application hears of all of them, tidied or not; of a table that is not there of none."""
        table = new_table()
        assert lake.committed(table) == {}
        for n in range(3):
            lake.append(table, numbered(n), {f"app{n}": n})
        assert lake.committed(table) == opened_anew.committed(table) == {f"app{n}": n for n in range(3)}
        lake.append(table, numbered(3), {"app0": 7})
        lake.tidy(table, [], timedelta(0))
        assert lake.committed(table) == opened_anew.committed(table) == {"app0": 7, "app1": 1, "app2": 2}

    def test_16_committed_since_tells_what_came_after_a_mark(self, lake: Lake, opened_anew: Lake) -> None:
        """Of a mark or of one that came of it, whoever committed and whoever asks; of others nothing is told."""
        table, other = new_table(), new_table()
        for name in (table, other):
            lake.append(name, numbered(0), {"a": 0, "b": 0})
            lake.committed(name)
        mark = lake.mark(table)
        assert lake.committed_since(table, "") is None
        assert lake.committed_since(other, mark) is None
        assert lake.committed_since(new_table(), mark) is None
        if not mark:
            skip("the lake gives no marks: whoever asks reads all")
        opened_anew.append(table, numbered(1), {"b": 1, "c": 0})
        found = [each.committed_since(table, mark) for each in (lake, opened_anew)]
        assert [each and each.transactions for each in found] == [{"b": 1, "c": 0}] * 2
        lake.append(table, numbered(2), {"d": 5})
        newest = found[0].mark if found[0] else ""
        since = [opened_anew.committed_since(table, each) for each in (newest, mark)]
        assert [each and each.transactions for each in since] == [{"d": 5}, {"b": 1, "c": 0, "d": 5}]
        none = lake.committed_since(table, since[0].mark if since[0] else "")
        assert none is not None
        assert none.transactions == {}

    @claimed(FILES, by="lake")
    def test_17_a_copy_of_its_files_is_the_table(self, lake: Lake, elsewhere: Lake, tmp_path: Path) -> None:
        """Put one by one elsewhere: no version is seen there before it is whole, and in the end all are the same."""
        table = new_table()
        with raises(NotFound):
            lake.files().of(table)
        shown = [[], [1], [1, 2, 3], [1, 2, 3]]
        for n, rows in enumerate((numbered(), numbered(1), numbered(2, 3, day=2), numbered())):
            lake.append(table, rows, {"all": n, f"app{n}": n})
        source, target = lake.files(), elsewhere.files()
        assert target.form == source.form
        folder, data, log = source.of(table)
        files = [*reversed(data), *log]
        assert target.below(folder) == {}
        for file in files:
            tmp_path.joinpath("content").write_bytes(b"".join(source.read(file.path)))
            target.put(file.path, tmp_path / "content")
            seen = elsewhere.version(table)
            assert seen is None or numbers(elsewhere, table) == shown[seen]
        assert target.below(folder) == {file.path: file.size for file in files}
        assert elsewhere.files().of(table) == source.of(table)
        assert [numbers(elsewhere, table, version=version) for version in range(4)] == shown
        assert elsewhere.committed(table) == lake.committed(table)
        assert elsewhere.append(table, numbered(4), {"all": 4}, after={"all": 3}) == 4
        assert numbers(elsewhere, table, newer_than=1) == [2, 3, 4]
        assert numbers(lake, table) == [1, 2, 3]
        with raises(NotFound):
            b"".join(target.read(f"{folder}/nothing"))

    @claimed(ERASES, by="lake")
    def test_18_what_is_erased_is_in_no_version(self, lake: Lake, opened_anew: Lake) -> None:
        """Rows that are meant by all their columns go, of every version that can be read; all others stay."""
        import pyarrow as pa

        table, who = new_table(), ["ann", "o'neil", "ann", None]
        for n in range(4):
            lake.append(table, numbered(n, day=n + 1, who=pa.array([who[n]], pa.string())), {"a": n})
        lake.append(table, numbered(4, 5, day=1, who=pa.array(["ann", "ben"])), {"a": 4})
        versions = range((lake.version(table) or 0) + 1)
        assert lake.erase(table, {"who": pa.array(["ann"]), "n": pa.array([0, 4, 5], pa.int64())}) == 2
        assert numbers(opened_anew, table) == [1, 2, 3, 5]
        assert lake.erase(table, {"who": pa.array(["ann", "o'neil", "nobody"])}) == 2
        assert lake.erase(table, {"who": pa.array(["ann"])}) == 0
        for side in (lake, opened_anew):
            assert numbers(side, table) == [3, 5]
            assert side.committed(table) == {"a": 4}
            for version in versions:
                with suppress(NotFound):
                    assert set(numbers(side, table, version=version)) <= {3, 5}
        opened_anew.append(table, numbered(6, day=2, who=pa.array(["ann"])), {"a": 5}, after={"a": 4})
        assert numbers(lake, table) == [3, 5, 6]
        with raises(NotFound):
            lake.erase(new_table(), {"who": pa.array(["ann"])})
