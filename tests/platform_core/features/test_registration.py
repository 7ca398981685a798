"""A team is registered before anything of it is written: a release that is refused changes no row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopline.platform_core.errors import Refused
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.foundation.names import online_view, raw_table, view_table
from loopline.platform_core.specs.contracts import odcs
from loopline.platform_core.testing.engines.engine_tables import raw_orders
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.stories.registered_team import FIRST, SECOND

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""What registering does to PostgreSQL is in ``test_registry.py``."""


@pytest.fixture
def shop(shop):
    """Give a team whose raw rows have landed, with a lake and an online store in memory."""
    shop.platform.environment.bindings.update(lake=InMemoryLake(), online_store=InMemoryOnlineStore())
    shop.platform.lake.append(raw_table("shop", "orders"), raw_orders((1, 0, 0.5, 10.0, "vase")))
    return shop


def test_materializing_registers_the_team(shop):
    """All of its views are known once one of them is written."""
    materialize(shop.platform, shop.team(FIRST, beside=(SECOND,)), FIRST)
    registered = {str(record.ref): record.state for record in catalog.views(shop.platform.ledger)}
    assert registered == {"shop/spending@1": "active", "shop/spending@2": "active"}


def test_a_refused_release_writes_nothing(shop):
    """Not even rows of a view that is sound: the release is refused as a whole, and the one before goes on."""
    team = shop.team(FIRST)
    shop.registry.register(team)
    shop.live(shop.made(FIRST))
    changed = replace(FIRST, ttl_days=30)
    for release, view in ((shop.team(changed), changed), (shop.team(SECOND), SECOND)):
        with pytest.raises(Refused, match="spending@1 is read by shop/large version 1"):
            materialize(shop.platform, release, view)
    assert shop.platform.lake.tables() == ["shop/raw/orders"]
    assert shop.platform.online_store.read([(online_view("shop", FIRST), ["1"])])[0] == [None]
    assert materialize(shop.platform, team, FIRST).rows == 1
    assert shop.platform.lake.version(view_table("shop", FIRST)) is not None


def test_a_team_is_registered_once_a_process(shop):
    """The next materialization asks the registry nothing more."""
    team = shop.team(FIRST)
    materialize(shop.platform, team, FIRST)
    with shop.platform.ledger.writing() as connection:
        connection.exec_driver_sql("DROP TABLE feature_views")
    shop.platform.lake.append(raw_table("shop", "orders"), raw_orders((1, 1, 1.5, 5.0, "vase")))
    shop.later()
    assert materialize(shop.platform, team, FIRST).rows == 1


@pytest.mark.parametrize(("reads", "registered"), [("load", False), ("read_contract", True)])
def test_a_materialization_reads_its_contract_once(shop, monkeypatch, reads, registered):
    """By a new process that registers its team as well; of a registered team it is handed on from where it is read."""
    team, read = shop.team(FIRST), []
    if registered:
        materialize(shop.platform, team, FIRST)
    shop.platform.lake.append(raw_table("shop", "orders"), raw_orders((1, 1, 1.5, 5.0, "vase")))
    shop.later()
    as_it_is = getattr(odcs, reads)
    monkeypatch.setattr(odcs, reads, lambda path: read.append(path.name) or as_it_is(path))
    odcs._read.cache_clear()
    assert materialize(shop.platform, team, FIRST).rows == (1 if registered else 2)
    assert read == [team.folder.joinpath(FIRST.source.contract).name]
