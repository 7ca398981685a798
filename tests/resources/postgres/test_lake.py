"""The lake on a real PostgreSQL keeps its promises, under kill and a lost answer too."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pytest

from loopline.platform_core.errors import CommitConflict, ContractBroken, StoreUnavailable, Unsupported
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.lake import LakeKit, numbered, numbers
from loopline.resources.postgres.lake import PostgresLake
from loopline.resources.postgres.link import Link
from tests.emulators.postgresql import OWNER, Postgresql
from tests.waiting import until


@pytest.fixture(scope="module")
def whole(new_database: Callable[[], str]) -> PostgresLake:
    """Give the lake of which each class has a schema of its own."""
    return PostgresLake(url=new_database())


class TestPostgresLake(LakeKit):
    """Every promise but of files, in a schema of its own as ``loopline conformance`` holds it to them."""

    tested_on = "real server: PostgreSQL"

    @pytest.fixture(scope="class")
    def lake(self, whole: PostgresLake) -> Iterator[PostgresLake]:
        """Open a lake; nothing is left of it."""
        with whole.set_apart("loopline-kit-x") as place:
            yield place
        assert whole.tables() == []

    @pytest.fixture
    def opened_anew(self, lake: PostgresLake) -> Iterator[PostgresLake]:
        """Open the same lake again."""
        again = lake.with_settings()
        yield again
        again.close()

    @pytest.fixture
    def elsewhere(self) -> None:
        """Give none: it has no files."""


def test_what_it_keeps_grows(whole: PostgresLake) -> None:
    """Its own schema alone is counted; one that was never written keeps nothing."""
    with whole.set_apart("loopline-kit-size") as place:
        assert place.kept_bytes() == 0
        place.append("kit/raw/size", numbered(*range(5000)))
        assert place.kept_bytes() > 5000 * 8
        assert whole.kept_bytes() == 0


class TestWrongPassword(CredentialsKit):
    """A server that asks for one."""

    @pytest.fixture
    def stranger(self, guarded: Postgresql, wrong_secret: str) -> PostgresLake:
        """Open a lake with it; with the right one it is answered that there is nothing."""
        place = f"127.0.0.1:{guarded.port}/postgres"
        friend = PostgresLake(url=f"postgresql://{OWNER}:{guarded.password}@{place}")
        assert friend.tables() == []
        friend.close()
        return PostgresLake(url=f"postgresql://{OWNER}:{wrong_secret}@{place}")


@pytest.fixture
def lake(whole: PostgresLake) -> Iterator[PostgresLake]:
    """Open a lake with nothing in it."""
    with whole.set_apart(f"lake-{uuid.uuid4().hex[:8]}") as place:
        yield place


def test_what_text_and_numbers_are_awkward_comes_back(lake: PostgresLake) -> None:
    """Nulls beside empty texts, signs of CSV and COPY, what is no number, and columns read alone."""
    texts = [
        "",
        None,
        "a,b",
        'say "x"',
        "two\nlines",
        "\\.",
        "a\n\\.\nb",
        "\\N",
        "NULL",
        "\r\n",
        "ø%s",
        "\0a\ue000\0\ue002\ue001",
    ]
    count = len(texts)
    numbers = [math.nan, None, math.inf, -math.inf, -0.0, 0.1, 5e-324, 1.7e308, 1.0, 2.0, 3.0, 4.0]
    instants = [datetime(1, 1, 1, tzinfo=UTC), None, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
    rows = pa.table(
        {
            'Text"': texts,
            "number": numbers,
            "lists": pa.array([texts, [], None, [None], *[["x"]] * (count - 4)], pa.list_(pa.string())),
            "vectors": pa.array([[0.1, math.nan, None], *[None] * (count - 1)], pa.list_(pa.float64())),
            "truths": pa.array([[True, None], *[[]] * (count - 1)], pa.list_(pa.bool_())),
            "tiny": pa.array([-128, *[None] * (count - 1)], pa.int8()),
            "half": pa.array([0.1, math.nan, *[None] * (count - 2)], pa.float32()),
            "bytes": pa.array([b"\x00\xff", b"", *[None] * (count - 2)], pa.binary()),
            "money": pa.array([Decimal("1.50"), *[None] * (count - 1)], pa.decimal128(10, 2)),
            "at": pa.array([*instants, *[None] * (count - 3)], pa.timestamp("us", "UTC")),
            "day": pa.array([date(1, 1, 1), *[None] * (count - 1)], pa.date32()),
        }
    )
    lake.append("t/raw/odd", rows)
    back = lake.read("t/raw/odd")
    assert back.schema.equals(rows.schema)
    assert repr(back.to_pylist()) == repr(rows.to_pylist())
    for name in rows.column_names:
        assert repr(lake.read("t/raw/odd", columns=[name])[name].to_pylist()) == repr(rows[name].to_pylist())
    found = lake.read("t/raw/odd", columns=['Text"'], among={'Text"': pa.array(['say "x"', texts[-1], None])})
    assert found['Text"'].to_pylist() == ['say "x"', texts[-1]]


def test_rows_in_pieces_of_which_the_first_is_empty_come_back(lake: PostgresLake) -> None:
    """Of such a column pyarrow writes zeros into a CSV."""
    rows = pa.table({"text": ['{"x": "y"}'] * 5})
    lake.append("t/raw/x", pa.concat_tables([rows.slice(0, 0), rows]))
    assert lake.read("t/raw/x").equals(rows)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"_added": [1]}, "call it otherwise"),
        ({"x" * 64: [1]}, "at most 63 bytes"),
        ({"x": [{"a": 1}]}, "bind the lake 'delta'"),
    ],
)
def test_what_postgresql_does_not_keep_is_refused_whole(column: dict[str, Any], says: str, lake: PostgresLake) -> None:
    """Before anything of it is written."""
    with pytest.raises(ContractBroken, match=says):
        lake.append("t/raw/x", pa.table(column))
    assert lake.version("t/raw/x") is None
    assert lake.tables() == []


def test_names_longer_than_postgresql_s_are_two_tables(lake: PostgresLake) -> None:
    """Where it would cut both to the same."""
    names = [f"t/raw/{'x' * 70}{end}" for end in "ab"]
    for n, name in enumerate(names):
        lake.append(name, numbered(n))
    assert [numbers(lake, name) for name in names] == [[0], [1]]
    assert lake.tables() == names


def _appends(settings: dict[str, Any], writer: int, count: int) -> None:
    lake = PostgresLake.model_validate(settings)
    for n in range(count):
        after = {f"w{writer}": n - 1} if n else {}
        lake.append("t/raw/many", numbered(100 * writer + n), {f"w{writer}": n}, after=after)


def test_several_processes_lose_no_version(lake: PostgresLake) -> None:
    """Each commit is a version, each row is there once, and an old version shows what it showed."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_appends, args=(lake.model_dump(), n, 12)) for n in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    assert [process.exitcode for process in writers] == [0] * 4
    assert lake.version("t/raw/many") == 47
    assert numbers(lake, "t/raw/many") == sorted(100 * w + n for w in range(4) for n in range(12))
    assert [len(numbers(lake, "t/raw/many", version=v)) for v in range(0, 48, 7)] == [v + 1 for v in range(0, 48, 7)]


def test_a_writer_that_is_killed_leaves_whole_commits(lake: PostgresLake) -> None:
    """Whenever it is: rows and transactions are those of the same commits, and the next goes on."""
    context = multiprocessing.get_context("fork")
    for milliseconds in (40, 90, 150):
        before = lake.committed("t/raw/many")
        process = context.Process(target=_goes_on, args=(lake.model_dump(),))
        process.start()
        until(lambda before=before: lake.committed("t/raw/many") != before)
        time.sleep(milliseconds / 1000)  # somewhere in a commit
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(30)
    _settled(lake)
    newest = lake.committed("t/raw/many", ["w1"])["w1"]
    assert numbers(lake, "t/raw/many") == [*range(newest + 1)]
    assert lake.version("t/raw/many") == newest


def _goes_on(settings: dict[str, Any]) -> None:
    lake = PostgresLake.model_validate(settings)
    n = lake.committed("t/raw/many", ["w1"]).get("w1", -1) + 1
    while True:
        lake.append("t/raw/many", numbered(n), {"w1": n})
        n += 1


def _settled(lake: PostgresLake) -> None:
    """Wait until the server has noticed who is gone: the table's lock is free."""
    lake.append("t/raw/many", numbered(), {"w1": 0})


@pytest.mark.parametrize("is_done", [True, False])
def test_a_lost_answer_to_a_commit_is_asked_for(
    is_done: bool, lake: PostgresLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server knows what became of it: what is there is not written again, what is not is told."""
    lost: list[bool] = []

    def commit(cursor: Any) -> None:
        cursor.execute("COMMIT" if is_done or lost else "SELECT 1")
        if not lost:
            lost.append(True)
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Link, "_commit", staticmethod(commit))
    if is_done:
        assert lake.append("t/raw/x", numbered(1)) == 0
    else:
        with pytest.raises(StoreUnavailable, match="see whether the server answers"):
            lake.append("t/raw/x", numbered(1))
        assert lake.version("t/raw/x") is None
        lake.append("t/raw/x", numbered(1))
    assert numbers(lake, "t/raw/x") == [1]


def test_a_table_that_is_held_too_long_is_a_conflict(lake: PostgresLake) -> None:
    """Readers do not wait meanwhile, and see what was committed."""
    lake.append("t/raw/x", numbered(1), {"a": 1})
    hasty = lake.with_settings(lock_seconds=0.2)
    with psycopg2.connect(lake.url) as holder, holder.cursor() as cursor:
        cursor.execute(f'SELECT 1 FROM "{lake.in_schema}"._tables FOR UPDATE')
        with pytest.raises(CommitConflict, match="lock_seconds"):
            hasty.append("t/raw/x", numbered(2))
        assert numbers(hasty, "t/raw/x") == [1]
    holder.close()
    hasty.append("t/raw/x", numbered(2))
    hasty.close()
    assert numbers(lake, "t/raw/x") == [1, 2]


def test_a_connection_that_was_cut_is_made_anew(lake: PostgresLake) -> None:
    """One that was kept and ended by the server costs nothing but a new one."""
    lake.append("t/raw/x", numbered(1))
    link = lake._link
    assert link is not None
    with psycopg2.connect(lake.url) as other, other.cursor() as cursor:
        for kept in link._idle:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (kept.info.backend_pid,))
    other.close()
    assert numbers(lake, "t/raw/x") == [1]
    lake.append("t/raw/x", numbered(2))
    assert numbers(lake, "t/raw/x") == [1, 2]


def test_tidy_deletes_rows_that_no_kept_version_shows(lake: PostgresLake) -> None:
    """And no other; who looks into the database finds the table by the lake's name, with what its columns mean."""
    for n in (1, 2, 3):
        lake.append("t/raw/x", numbered(n, day=n))
    lake.drop_days("t/raw/x", date(2020, 1, 2))
    lake.drop_days("t/raw/x", date(2020, 1, 3))
    with psycopg2.connect(lake.url) as other, other.cursor() as cursor:
        count = f'SELECT array_agg(n ORDER BY n) FROM "{lake.in_schema}"."t/raw/x"'
        cursor.execute(count)
        assert cursor.fetchone() == ([1, 2, 3],)
        lake.tidy("t/raw/x", [3], timedelta(0))
        cursor.execute(count)
        assert cursor.fetchone() == ([2, 3],)
        cursor.execute("SELECT obj_description(%s::regclass)", (f'"{lake.in_schema}"."t/raw/x"',))
        assert "rows of version v" in cursor.fetchone()[0]
    other.close()
    assert (numbers(lake, "t/raw/x", version=3), numbers(lake, "t/raw/x")) == ([2, 3], [3])
    assert lake.place("t/raw/x").endswith(f"{lake.in_schema}/t/raw/x")


def test_its_tables_are_no_files(lake: PostgresLake) -> None:
    """Which is said, with what to use instead."""
    assert "files" not in lake.can
    with pytest.raises(Unsupported, match="bind 'delta' on both sides"):
        lake.files()
