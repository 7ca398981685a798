"""What something live reads keeps its meaning and stays declared; a new version runs beside it until nothing does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import narwhals as nw
import pytest

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.features.registry import readers, view_table
from loopline.platform_core.features.registry.registry import FeatureRegistry, Registration
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import Deployment
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.testing.engines.engine_tables import at, put_contract
from loopline.stories.registered_team import FIRST, REF, SECOND, spend_only

V1, V2 = ViewRef("shop", "spending", 1), ViewRef("shop", "spending", 2)
KEEP = (
    "keep version 1 of 'spending' declared as it was, in a model's features or in Team(features=...), until nothing "
    "reads it ('loopline features show shop/spending' tells who does)"
)


def states(shop) -> dict[ViewRef, str]:
    """Return the state of each registered version."""
    with shop.platform.ledger.reading() as connection:
        return {ref: record.state for ref, record in view_table.read_views(connection, "shop").items()}


def held(shop, ref: ViewRef = V1) -> view_table.ViewRecord:
    """Return what is registered of a version."""
    with shop.platform.ledger.reading() as connection:
        return view_table.read_views(connection)[ref]


def told(shop) -> list[tuple[str, str]]:
    """Return kind and reason of what the ledger says of views."""
    return [(e.kind, e.reason) for e in shop.platform.ledger.entries() if e.kind.startswith("feature_")]


def test_a_team_is_registered_once(shop):
    """The first registration writes everything down, the next one finds nothing to do."""
    assert shop.registry.register(shop.team(FIRST), "ada") == Registration(added=(V1,))
    shop.later()
    assert shop.registry.register(shop.team(FIRST), "bob") == Registration()
    record = held(shop)
    assert (record.owner, record.registered_by, record.registered_at, record.state) == ("ada", "ada", at(1), "active")
    assert record.meaning.features == {"article": "string", "orders": "int64", "spend": "double"}
    assert told(shop) == [(view_table.REGISTERED, "shop/spending@1: declared")]
    with shop.platform.ledger.reading() as connection:
        (source,) = view_table.read_sources(connection)
    assert (source.name, source.contract, source.contract_version, source.arrives) == (
        "orders", "orders.yaml", "1.0.0", "daily")  # fmt: skip


def test_two_registrations_at_once_write_once(shop, open_platform):
    """Processes that start together find each other's work, and the ledger tells it once."""
    start = Barrier(4)
    platforms = [open_platform() for _ in range(4)]
    for platform in platforms:
        _ = platform.ledger

    def register(platform):
        start.wait()
        return FeatureRegistry(platform).register(shop.team(FIRST, beside=(SECOND,)))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(register, platforms))
    assert sorted(states(shop)) == [V1, V2]
    assert len(told(shop)) == 2
    assert any(each.added == (V1, V2) for each in done)


OTHER_ENTITY = "entity changed from 'customer' to 'article', feature 'article' is gone, feature 'customer' is new"
OTHER_TYPE = "feature 'orders' changed its type from int64 to double, its code changed (its function)"


def fractions(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Give the same features, one of another type."""
    return FIRST.compute(orders).with_columns(nw.col("orders").cast(nw.Float64))


def test_a_registration_waits_for_a_model_that_goes_live(shop, open_platform):
    """A deployment that is being written when a change is registered counts as soon as it is there."""
    other = open_platform()
    shop.registry.register(shop.team(FIRST))
    made, now = shop.made(FIRST), shop.platform.clock.now()
    wanted = Deployment(REF, 0, made, None, 0)
    with ThreadPoolExecutor(1) as pool:
        with shop.platform.ledger.writing(REF) as connection:
            deployments.write(connection, wanted, Entry(deployments.CHANGED, now, *REF, made.cycle, made.version))
            change = pool.submit(FeatureRegistry(other).register, shop.team(replace(FIRST, ttl_days=2)))
            with pytest.raises(TimeoutError):
                change.result(timeout=0.3)
        with pytest.raises(Refused, match=r"is read by shop/large version 1 \(stable\)"):
            change.result()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ttl_days": 30}, "ttl_days changed from 1.0 to 30.0"),
        ({"entity": "article"}, OTHER_ENTITY),
        ({"served": "request"}, "served changed from 'online' to 'request'"),
        ({"source": replace(FIRST.source, name="sales")}, "source changed from 'orders' to 'sales'"),
        ({"compute": spend_only}, "feature 'orders' is gone, its code changed (its function)"),
        ({"compute": fractions}, OTHER_TYPE),
    ],
)
def test_what_a_live_model_reads_keeps_its_meaning(shop, changes, what):
    """The refusal names the view, the live version and what changed; the fix names the version to declare."""
    shop.registry.register(shop.team(FIRST))
    shop.live(shop.made(FIRST))
    with pytest.raises(Refused) as refused:
        shop.registry.register(shop.team(replace(FIRST, **changes)))
    assert refused.value.problem == (
        f"feature view shop/spending@1 is read by shop/large version 1 (stable) and would mean something else: {what}"
    )
    assert refused.value.fix == f"declare the change as version=2 of 'spending'; {KEEP}"
    assert held(shop).meaning.ttl_days == 1.0
    assert len(told(shop)) == 1


def test_types_follow_the_contract(shop):
    """A contract that gives a column another type changes what the view gives, and is refused as well."""
    shop.registry.register(shop.team(FIRST))
    shop.live(shop.made(FIRST))
    put_contract(shop.home / "orders.yaml", customer="integer", ordered_at="timestamp", amount="integer",
                 article="string")  # fmt: skip
    with pytest.raises(Refused, match="feature 'spend' changed its type from double to int64"):
        shop.registry.register(shop.team(FIRST))


def test_what_nothing_live_reads_may_change(shop):
    """The new meaning is in force, and the ledger keeps the old one."""
    shop.registry.register(shop.team(FIRST))
    shop.made(FIRST)  # trained, but never live
    shop.later()
    assert shop.registry.register(shop.team(replace(FIRST, ttl_days=30))) == Registration(changed=(V1,))
    assert held(shop).meaning.ttl_days == 30
    assert (held(shop).registered_at, held(shop).changed_at) == (at(1), at(2))
    kept = [e.details["definition"]["ttl_days"] for e in shop.platform.ledger.entries(kinds=[view_table.REGISTERED])]
    assert kept == [1.0]
    assert told(shop)[-1] == (view_table.CHANGED, "shop/spending@1: ttl_days changed from 1.0 to 30.0")


def test_owner_and_description_are_no_meaning(shop):
    """They may change under a live model."""
    shop.registry.register(shop.team(FIRST))
    shop.live(shop.made(FIRST))
    assert shop.registry.register(shop.team(replace(FIRST, owner="bob", description="new"))) == Registration()
    assert (held(shop).owner, held(shop).description) == ("bob", "new")


def test_what_a_live_model_reads_stays_declared(shop):
    """Neither a candidate's view can be dropped, nor one that runs beside the models; what is free retires."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)))
    shop.live(shop.made(FIRST), shop.made(SECOND))
    with pytest.raises(Refused) as refused:
        shop.registry.register(shop.team(SECOND))
    assert refused.value.problem == (
        "feature view shop/spending@1 is read by shop/large version 1 (stable) and is no longer declared"
    )
    assert refused.value.fix == KEEP
    with pytest.raises(Refused, match=r"spending@2 is read by shop/large version 2 \(candidate\)"):
        shop.registry.register(shop.team(FIRST))


def test_a_version_is_replaced_beside_the_old_one(shop):
    """The whole way: changed under a live model → refused; beside it → fine; promoted → the old one retires."""
    shop.registry.register(shop.team(FIRST))
    first = shop.made(FIRST)
    shop.live(first)
    with pytest.raises(Refused):
        shop.registry.register(shop.team(replace(FIRST, compute=spend_only)))
    assert shop.registry.register(shop.team(SECOND, beside=(FIRST,))) == Registration(added=(V2,))
    second = shop.made(SECOND)
    shop.live(first, second)
    with pytest.raises(Refused, match="is no longer declared"):
        shop.registry.register(shop.team(SECOND))
    shop.live(second)
    assert shop.registry.register(shop.team(SECOND)) == Registration(retired=(V1,))
    assert states(shop) == {V1: "retired", V2: "active"}
    assert told(shop)[-1] == (view_table.RETIRED, "shop/spending@1: no longer declared")


def test_a_retired_version_may_come_back(shop):
    """Declared again it is active again, registered when it first was."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)))
    shop.registry.register(shop.team(FIRST))
    shop.later()
    assert shop.registry.register(shop.team(FIRST, beside=(SECOND,))) == Registration(added=(V2,))
    assert states(shop)[V2] == "active"
    assert held(shop, V2).registered_at == at(1)
    assert told(shop)[-1] == (view_table.REGISTERED, "shop/spending@2: declared again")


def test_a_pretended_registration_writes_nothing(shop):
    """It says what would be, and refuses what would be refused."""
    assert shop.registry.register(shop.team(FIRST), pretend=True) == Registration(added=(V1,))
    assert states(shop) == {}
    shop.registry.register(shop.team(FIRST))
    shop.live(shop.made(FIRST))
    with pytest.raises(Refused, match="would mean something else"):
        shop.registry.register(shop.team(replace(FIRST, ttl_days=2)), pretend=True)


def test_retiring_by_hand(shop):
    """Refused while something live reads it or the team declares it; for a team that is gone it is done once."""
    team = shop.team(FIRST)
    shop.registry.register(team)
    first, second = shop.made(FIRST), shop.made(SECOND)
    shop.live(first)
    with pytest.raises(Refused) as read:
        shop.registry.retire(V1, "ada", "old")
    assert read.value.problem == "feature view shop/spending@1 is read by shop/large version 1 (stable)"
    assert read.value.fix == "move its readers to another version first"
    shop.live(second)
    with pytest.raises(Refused, match="is declared by team 'shop'"):
        shop.registry.retire(V1, "ada", "old", [team])
    assert shop.registry.retire(V1, "ada", "old").state == "retired"
    assert shop.registry.retire(V1, "ada", "old").state == "retired"
    assert [kind for kind, _ in told(shop)].count(view_table.RETIRED) == 1
    with pytest.raises(
        NotFound, match="no feature view shop/spending@7 is registered → registered are shop/spending@1"
    ):
        shop.registry.retire(ViewRef("shop", "spending", 7), "ada", "old")


def test_an_application_that_announced_itself_is_a_reader(shop):
    """It holds what it reads until it withdraws; repeated, it is announced since the first time."""
    shop.registry.register(shop.team(FIRST))
    shop.registry.announce("checkout", [V1], "ann@example.org")
    shop.later()
    (reader,) = shop.registry.announce("checkout", [V1], "bob@example.org")
    assert (reader.since, reader.contact) == (at(1), "bob@example.org")
    with pytest.raises(Refused, match="is read by application checkout and would mean something else"):
        shop.registry.register(shop.team(replace(FIRST, ttl_days=2)))
    assert shop.registry.withdraw("checkout") == 1
    assert shop.registry.register(shop.team(replace(FIRST, ttl_days=2))).changed == (V1,)
    assert [kind for kind, _ in told(shop)] == [
        view_table.REGISTERED, "feature_reader.announced", "feature_reader.withdrawn", view_table.CHANGED]  # fmt: skip


def test_an_application_reads_what_is_there(shop):
    """An unknown version, a retired one, and a reading that was never announced are named; nothing is half written."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)))
    shop.registry.register(shop.team(FIRST))
    with pytest.raises(NotFound, match="shop/spending@3"):
        shop.registry.announce("checkout", [V1, ViewRef("shop", "spending", 3)], "")
    with pytest.raises(Refused, match="shop/spending@2 is retired"):
        shop.registry.announce("checkout", [V1, V2], "")
    with pytest.raises(NotFound, match="'checkout' has announced no reading"):
        shop.registry.withdraw("checkout")


def test_versions_read_the_views_that_they_learnt_from(shop):
    """Each version reads the views of its own training set, as its cycle pinned it."""
    shop.registry.register(shop.team(FIRST, beside=(SECOND,)), "ada")
    stable, candidate = shop.made(FIRST), shop.made(FIRST, SECOND)
    shop.live(stable, candidate)
    with shop.platform.ledger.reading() as connection:
        versions = list(readers.live(connection, "shop"))
        assert readers.views_of(connection, versions) == [(V1,), (V1, V2)]
        assert readers.views_of(connection, versions[1:]) == [(V1, V2)]
        assert readers.views_of(connection, []) == []
