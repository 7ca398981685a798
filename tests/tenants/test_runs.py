"""A tenant works by its environment file: the ledger, the registry and Dagster's instance lie in its own database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import psycopg2
import pyarrow as pa

from loopline.platform_core.loop import freezes
from loopline.platform_core.testing.registry import publication
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from loopline.pod import instance, settings
from tests.tenants.world import World


def tables(world: World, tenant: str, schema: str) -> set[str]:
    """Name the tables in a schema of a tenant, as the tenant sees them."""
    with psycopg2.connect(world.fields(tenant)["url"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        return {name for (name,) in cursor.fetchall()}


def test_both_have_a_ledger_and_write_into_their_own(world: World) -> None:
    """What one writes the other does not read."""
    for tenant in (MINE, THEIRS):
        platform = world.platform(tenant)
        assert platform.environment.tenant == tenant
        freezes.freeze(platform.ledger, None, "ann", f"of {tenant}", platform.clock.now())
    for tenant in (MINE, THEIRS):
        with psycopg2.connect(world.fields(tenant)["ledger"]) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT reason FROM entries")
            assert cursor.fetchall() == [(f"of {tenant}",)]
        assert "entries" in tables(world, tenant, "ledger")


def test_lake_and_landing_lie_in_its_home(world: World) -> None:
    """A table is written and read there."""
    platform = world.platform(MINE)
    platform.lake.append(f"{MINE}/raw/orders", pa.table({"a": [1, 2]}))
    assert platform.lake.read(f"{MINE}/raw/orders").num_rows == 2
    assert any((world.root / MINE / "home/lake").rglob("*.parquet"))


def test_registry_and_dagster_lie_in_its_database(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    """Models of one's own in one's own list; runs of one's own in one's own instance."""
    for number, tenant in enumerate((MINE, THEIRS), 1):
        registry = world.platform(tenant).registry
        for _ in range(number):
            registry.publish(publication("shop.runs", tmp_path))
        assert len(registry.versions("shop.runs")) == number
        assert "model_versions" in tables(world, tenant, "registry")
        with world.as_tenant(tenant), patch.dict(os.environ):
            said = settings.of_environment()
            instance.write(said)
            assert instance.prepare(said)
            with dg.DagsterInstance.get() as opened:
                assert opened.get_runs() == []
                for _ in range(number):
                    opened.create_run_for_job(daily)
                assert len(opened.get_runs()) == number
        assert "runs" in tables(world, tenant, "dagster")


@dg.job
def daily() -> None:
    """Do nothing."""
