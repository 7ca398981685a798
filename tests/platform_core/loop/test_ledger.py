"""The ledger keeps what was recorded, on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from loopline.platform_core.audit.tables import metadata as record
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.identity.tables import metadata as sessions
from loopline.platform_core.loop.ledger import migrations, tables
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)


def test_an_entry_comes_back_as_it_was_given(ledger, ref):
    """Every field survives, and the wall's time is added."""
    given = Entry("deployment.changed", T0, *ref, "c1", "3", "ada", "because", {"percent": 25, "by": ["x", None, 0.5]})
    number = ledger.record(given)
    (entry,) = ledger.entries()
    assert entry.entry_id == number
    assert abs(datetime.now(UTC) - entry.recorded_at) < timedelta(minutes=1)
    assert Entry(**{name: getattr(entry, name) for name in ("kind", "at", "team", "model", "cycle", "version")},
                 actor=entry.actor, reason=entry.reason, details=entry.details) == given  # fmt: skip


def test_times_come_back_in_utc(ledger):
    """A time given in another zone is the same instant in UTC; one without a zone is refused."""
    ledger.record(Entry("x.y", datetime(2011, 3, 1, 14, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))))
    (entry,) = ledger.entries()
    assert entry.at == T0 + timedelta(microseconds=1)
    assert entry.at.utcoffset() == timedelta(0)
    with pytest.raises(ContractBroken, match="no zone"):
        ledger.record(Entry("x.y", T0.replace(tzinfo=None)))


def test_the_same_key_is_recorded_once(ledger):
    """A repeated call returns the first entry's id."""
    first = ledger.record(Entry("x.y", T0), once="k")
    assert ledger.record(Entry("x.y", T0 + timedelta(hours=1)), once="k") == first
    assert len(ledger.entries()) == 1


def test_the_database_refuses_to_change_what_was_recorded(ledger):
    """Not this program's good will but the database keeps entries as they are, by whatever its triggers might miss."""
    ledger.record(Entry("x.y", T0, reason="first"), once="k")
    on_sqlite = ledger.engine.dialect.name == "sqlite"
    missed = "INSERT OR REPLACE INTO entries SELECT * FROM entries" if on_sqlite else "TRUNCATE entries"
    for statement in ("UPDATE entries SET reason = 'other'", "DELETE FROM entries", missed):
        with pytest.raises(IntegrityError, match="append-only"), ledger.writing() as connection:
            connection.exec_driver_sql(statement)
    assert [entry.reason for entry in ledger.entries()] == ["first"]


def test_entries_are_filtered(ledger, ref):
    """By model, kind and the platform's time, both bounds included; in the order recorded, or the newest first."""
    other = ModelRef("retail", "other")
    for hour, (kind, of) in enumerate([("a.b", ref), ("c.d", ref), ("a.b", other), ("a.b", ref)]):
        ledger.record(Entry(kind, T0 + timedelta(hours=hour), *of, reason=str(hour)))

    def reasons(**filters):
        return [entry.reason for entry in ledger.entries(**filters)]

    assert reasons() == ["0", "1", "2", "3"]
    assert reasons(ref=ref) == ["0", "1", "3"]
    assert reasons(ref=ref, kinds=["a.b"]) == ["0", "3"]
    assert reasons(since=T0 + timedelta(hours=1), until=T0 + timedelta(hours=2)) == ["1", "2"]
    assert reasons(limit=2, newest_first=True) == ["3", "2"]


def test_figures_of_every_kind_become_json(ledger):
    """Numpy's numbers become Python's, and what is no number becomes null, which every database takes."""
    ledger.record(Entry("x.y", T0, details={"a": np.float64(0.5), "b": float("nan"), "c": (1, {2}), "d": T0}))
    assert ledger.entries()[0].details == {"a": 0.5, "b": None, "c": [1, [2]], "d": "2011-03-01 12:00:00+00:00"}


def test_migrations_make_what_the_tables_say(ledger):
    """The newest migration is the head that opening compares with, and leaves no difference to the metadata."""
    assert ScriptDirectory.from_config(migrations.configuration()).get_current_head() == migrations.HEAD
    with ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, [tables.metadata, record, sessions]) == []


def test_a_ledger_of_an_earlier_release_is_brought_to_this_one(url):
    """With its entries; what an index of between two releases finds there already stays."""
    ledger = Ledger.open(url)
    ledger.record(Entry("x.y", T0))
    with ledger.writing() as connection:
        tables.watchdog_looks.drop(connection)
        connection.execute(migrations.version_table.update().values(version_num="ledger_1"))
    ledger.close()
    ledger = Ledger.open(url)
    assert [entry.kind for entry in ledger.entries()] == ["x.y"]
    test_migrations_make_what_the_tables_say(ledger)
    ledger.close()
    with Ledger.open(url).writing() as connection:
        tables.watchdog_looks.drop(connection)
        next(one for one in tables.entries.indexes if one.name == "entries_by_version").drop(connection)
        connection.execute(migrations.version_table.update().values(version_num="ledger_1"))
    test_migrations_make_what_the_tables_say(Ledger.open(url))


def test_of_many_who_upsert_a_row_at_once_one_inserts_it(ledger):
    """The others update it; what is fresh is written by the insert alone."""
    key = {"team": "shop", "model": "returns"}
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(ledger.upsert, tables.site_looks, key, {"site": "a", "seen_at": T0}, waiting=number, until=None)
            for number in range(40)
        ]:
            done.result()
    with ledger.reading() as connection:
        (before,) = connection.execute(select(tables.site_looks)).mappings()
    ledger.upsert(tables.site_looks, key, {"site": "b"}, waiting=99)
    with ledger.reading() as connection:
        (after,) = connection.execute(select(tables.site_looks)).mappings()
    assert dict(after) == {**before, "site": "b"}
    assert before["waiting"] in range(40)


@pytest.mark.parametrize("revision", ["9999", "0011"])
def test_a_ledger_of_another_release_is_refused(url, revision):
    """A newer one is not migrated backwards, one of before the first release has no way here; neither is written."""
    ledger = Ledger.open(url)
    with ledger.writing() as connection:
        connection.execute(migrations.version_table.update().values(version_num=revision))
    ledger.close()
    with pytest.raises(InvalidEnvironment, match="release"):
        Ledger.open(url)


@pytest.mark.parametrize("wrong", ["", "no url", "mysql://host/ledger", "sqlite://", "sqlite:///:memory:"])
def test_a_wrong_url_is_refused_with_a_fix(wrong):
    """Only SQLite files and PostgreSQL hold a ledger."""
    with pytest.raises(InvalidEnvironment, match="sqlite:///path"):
        Ledger.open(wrong)


def test_a_server_that_does_not_answer_is_worth_another_try(tmp_path):
    """The error is transient, and does not show the password."""
    with pytest.raises(StoreUnavailable) as caught:
        Ledger.open(f"postgresql://someone:secret@/ledger?host={tmp_path}")
    assert "secret" not in str(caught.value)


def _write(url, number, everybody):
    everybody.wait(60)
    ledger = Ledger.open(url)
    for index in range(20):
        ledger.record(Entry("x.y", datetime.now(UTC), reason=f"{number}:{index}"))
        ledger.record(Entry("x.once", datetime.now(UTC)), once=f"once:{index}")
    ledger.close()


def test_processes_that_open_and_write_at_once_all_succeed(url):
    """Daemon, server and command line start together on an empty database and lose nothing."""
    url, context = url.replace("ledger.db", "new.db"), multiprocessing.get_context("fork")  # where no table is yet
    everybody = context.Barrier(3)
    writers = [context.Process(target=_write, args=(url, number, everybody)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    ledger = Ledger.open(url)
    assert len(ledger.entries(kinds=["x.y"])) == 60
    assert len(ledger.entries(kinds=["x.once"])) == 20
    ledger.close()


def test_opening_a_ledger_that_is_up_to_date_needs_no_alembic(tmp_path):
    """Migrating costs time and happens once."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    Ledger.open(url).close()
    code = (
        "import sys; from loopline.platform_core.loop.ledger.ledger import Ledger;"
        f"Ledger.open({url!r}).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_kinds_come_in_the_order_of_recording(ledger, ref):
    """Each kind is asked by itself: the answers are one list, without doubles, and filters hold for all of them."""
    for number, kind in enumerate(["x.b", "x.a", "x.c", "x.a", "x.b"]):
        ledger.record(Entry(kind, T0 + timedelta(hours=number), *ref, version=str(number % 2)))
    ledger.record(Entry("x.a", T0, "retail", "returns"))

    def told(*kinds, **filters):
        return [(entry.kind, entry.at.hour - 12) for entry in ledger.entries(ref, kinds, **filters)]

    assert told("x.a", "x.b", "x.a", "x.z") == [("x.b", 0), ("x.a", 1), ("x.a", 3), ("x.b", 4)]
    assert told("x.a", "x.b", newest_first=True, limit=3) == [("x.b", 4), ("x.a", 3), ("x.a", 1)]
    assert told("x.a", "x.b", version="0") == [("x.b", 0), ("x.b", 4)]
    assert told("x.a", "x.b", since=T0 + timedelta(hours=1), until=T0 + timedelta(hours=3)) == [("x.a", 1), ("x.a", 3)]
    assert told() == []
    assert ledger.kinds(ref) == ["x.a", "x.b", "x.c"]
    assert ledger.kinds(ModelRef("retail", "nobody")) == []
