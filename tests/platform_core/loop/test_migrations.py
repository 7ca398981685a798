"""A ledger that an earlier release wrote is brought to the newest schema with all that it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from sqlalchemy import inspect

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.loop import database, deployments, migrations, tables
from loopline.platform_core.loop.ledger import Entry, Ledger

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)


def _recorded_before(engine):
    """Write an entry as a release did that had no record beside the ledger."""
    words = dict.fromkeys(("team", "model", "cycle", "version", "actor"), "")
    with database.writer(engine).begin() as connection:
        values = {"kind": "x.y", "at": T0, "recorded_at": T0, "reason": "before", "details": {}, **words}
        connection.execute(tables.entries.insert(), values)


def test_the_first_release_s_ledger_gets_the_feature_registry(url):
    """Its entries stay, and the registry's tables are there and empty."""
    engine = database._engine(database._checked(url))
    with database.writer(engine).begin() as connection:
        settings = migrations.configuration()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
    _recorded_before(engine)
    with engine.connect() as connection:
        assert database.revision(connection) == "0001"
        assert not inspect(connection).has_table("feature_views")
    engine.dispose()
    ledger = Ledger.open(url)
    assert [entry.reason for entry in ledger.entries()] == ["before"]
    with ledger.reading() as connection:
        assert database.revision(connection) == database.HEAD
        assert connection.exec_driver_sql("SELECT count(*) FROM feature_views").scalar() == 0
    ledger.close()


def test_deployments_of_before_have_no_shadow(url, ref):
    """They go on as they are, and a change may bring one."""
    engine = database._engine(database._checked(url))
    with database.writer(engine).begin() as connection:
        settings = migrations.configuration()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0002")
        stable = '{"version": "1", "package": "/p", "cycle": "c"}'
        columns = "team, model, generation, applied, stable, percent, changed_at"
        values = f"'{ref.team}', '{ref.model}', 3, 3, '{stable}', 0, '{T0.isoformat()}'"
        connection.exec_driver_sql(f"INSERT INTO deployments ({columns}) VALUES ({values})")
    engine.dispose()
    ledger = Ledger.open(url)
    before = deployments.deployment(ledger, ref)
    assert (before.stable.version, before.candidate, before.shadow) == ("1", None, None)
    with ledger.writing(ref) as connection:
        wanted = replace(before, shadow=Served("2", Path("/q"), "d"))
        deployments.write(connection, wanted, Entry(deployments.CHANGED, T0, *ref, reason="shadow"))
    after = deployments.deployment(ledger, ref)
    assert (after.generation, after.shadow) == (4, Served("2", Path("/q"), "d"))
    ledger.close()


def test_a_ledger_of_before_has_no_alarms(url, ref):
    """Its entries stay; alarms may be raised at once."""
    from loopline.platform_core.alarms import standing

    engine = database._engine(database._checked(url))
    with database.writer(engine).begin() as connection:
        settings = migrations.configuration()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0004")
        assert not inspect(connection).has_table("alarms")
    _recorded_before(engine)
    engine.dispose()
    ledger = Ledger.open(url)
    assert [entry.reason for entry in ledger.entries()] == ["before"]
    assert standing(ledger) == []
    ledger.close()
