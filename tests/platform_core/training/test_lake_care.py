"""Old versions go and small files are merged, but what a registered model was trained on is there for ever."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from loopline.platform_core import turn
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.errors import CommitConflict, NotFound
from loopline.platform_core.foundation.names import raw_table, view_table
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.specs import Drift, Model, Team
from loopline.platform_core.testing.engines.engine_tables import at, large_order, put_contract, spending
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.training import lake_care, training_set
from loopline.platform_core.training.training_set import TrainingSet
from loopline.resources.delta.lake import DeltaLake
from loopline.stories.shop import Shop
from tests.platform_core.homes import opened

RAW, VIEW = raw_table("shop", "orders"), view_table("shop", spending)
QUALITY = "shop/quality/orders"
NO_TIME = timedelta(0)


class BusyLake(DeltaLake):
    """A lake of which one table is always written by somebody else."""

    busy: str = ""

    def tidy(self, table: str, keep: object, older_than: timedelta) -> object:  # type: ignore[override]
        """Give up on that table."""
        if table == self.busy:
            raise CommitConflict(f"{table} is busy", "try again")
        return super().tidy(table, keep, older_than)  # type: ignore[arg-type]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Open a shop that has sold nothing."""
    put_contract(tmp_path / "orders.yaml")
    lake, model = BusyLake(root=str(tmp_path / "lake")), Model("large", (spending,), large_order, fit=None)  # type: ignore[arg-type]
    platform = opened(tmp_path, at(0), lake=lake, online_store=InMemoryOnlineStore())
    return Shop(platform, Team("shop", tmp_path, (model,)))


def sold(shop: Shop, day: int) -> None:
    """Let a day's orders come in two batches, and materialize after each."""
    for hour in (1, 2):
        start = 24 * day + hour
        shop.land(*((who, start, start, float(who + day), "a") for who in range(5)))
        shop.turn(start + 0.5)


def trained(shop: Shop, day: int, *, register: bool, close: bool = True) -> TrainingSet:
    """Pin a training set at the end of a day; a cycle that ends well leaves a model version."""
    shop.clock(24 * day + 23)
    platform, model, now = shop.platform, shop.team.models[0], at(24 * day + 23)
    ref = turn.ModelRef("shop", "large")
    cycle = cycles.open_cycle(platform.ledger, ref, Drift(), "test", f"day {day}", now, force=True)
    pinned = turn.pin(turn.Turn(platform, shop.team, model, cycle))
    if register:
        package = platform.home / "package"
        package.mkdir(exist_ok=True)
        tags = {"training_set": pinned.training_set_id, "key": cycle.cycle_id}
        given = Publication(ref.dotted, package, None, pa.table({}), tags=tags)  # type: ignore[arg-type]
        platform.registry.publish(given)
    if close:
        cycles.close_cycle(platform.ledger, cycle.cycle_id, "promoted" if register else "failed", "", now)
    return pinned


def rebuilt(shop: Shop, pinned: TrainingSet) -> pa.Table:
    """Build a training set's rows again."""
    return training_set.rows(shop.platform, shop.team, shop.team.models[0], pinned)


def test_training_sets_of_registered_versions_outlive_tidying(shop: Shop) -> None:
    """Rows come back bit for bit, though all other versions of the tables are gone."""
    sets = []
    for day in range(3):
        sold(shop, day)
        sets.append(trained(shop, day, register=day < 2))
    before = [rebuilt(shop, pinned) for pinned in sets]
    newest = shop.platform.lake.read(VIEW).num_rows
    cared = {each.table: each for each in lake_care.care(shop.platform, "shop", NO_TIME)}
    assert list(cared) == [VIEW, QUALITY, RAW]
    for table in (VIEW, RAW):
        tidied = cared[table].tidied
        assert cared[table].pinned == tuple(sorted({sets[0].tables[table], sets[1].tables[table]}))
        assert (tidied.files_after, tidied.files_deleted > 0) == (1, True)
    for day in (0, 1):
        assert rebuilt(shop, sets[day]).equals(before[day])
    with pytest.raises(NotFound):
        rebuilt(shop, sets[2])
    assert shop.platform.lake.read(VIEW).num_rows == newest
    sold(shop, 3)
    assert shop.platform.lake.read(VIEW).num_rows == newest + 10


def test_a_cycle_that_is_open_keeps_its_training_set(shop: Shop) -> None:
    """What a training is about to read stays, though no version is registered yet."""
    sold(shop, 0)
    pinned = trained(shop, 0, register=False, close=False)
    before = rebuilt(shop, pinned)
    sold(shop, 1)
    lake_care.care(shop.platform, "shop", NO_TIME)
    assert rebuilt(shop, pinned).equals(before)


def test_young_versions_stay(shop: Shop) -> None:
    """Within the days of grace nothing is deleted; files are merged all the same."""
    sold(shop, 0)
    pinned = trained(shop, 0, register=False)
    before = rebuilt(shop, pinned)
    cared = lake_care.care(shop.platform, "shop")
    assert [(each.tidied.files_after, each.tidied.files_deleted) for each in cared if each.tidied] == [(1, 0)] * 3
    assert rebuilt(shop, pinned).equals(before)


def test_pretending_changes_nothing(shop: Shop) -> None:
    """It says which versions are pinned, and which of those are gone already."""
    sold(shop, 0)
    pinned = trained(shop, 0, register=True)
    version = shop.platform.lake.version(RAW)
    cared = lake_care.care(shop.platform, "shop", NO_TIME, pretend=True)
    assert [(each.pinned, each.lost, each.tidied) for each in cared] == [
        ((pinned.tables[VIEW],), (), None),
        ((), (), None),
        ((pinned.tables[RAW],), (), None),
    ]
    assert shop.platform.lake.version(RAW) == version
    assert lake_care.teams(shop.platform) == ["shop"]
    assert lake_care.care(shop.platform, "other", NO_TIME) == []


def test_a_version_that_is_gone_holds_nothing_up(shop: Shop) -> None:
    """A pin of a table that was made anew is reported as lost, and the table tidied."""
    sold(shop, 0)
    trained(shop, 0, register=True)
    where = Path(shop.platform.lake.root, RAW)  # type: ignore[attr-defined]
    where.rename(where.with_name("elsewhere"))
    shop.land((1, 0, 1, 1.0, "a"))
    cared = {each.table: each for each in lake_care.care(shop.platform, "shop", NO_TIME)}
    assert (cared[RAW].pinned, cared[RAW].lost) == ((), (1,))
    assert cared[RAW].tidied is not None


def test_a_busy_table_is_left_for_the_next_time(shop: Shop) -> None:
    """What somebody else keeps writing is reported, and the other tables are tidied."""
    sold(shop, 0)
    shop.platform.lake.busy = VIEW  # type: ignore[attr-defined]
    cared = {each.table: each for each in lake_care.care(shop.platform, "shop", NO_TIME)}
    assert "is busy" in cared[VIEW].problem
    assert cared[VIEW].tidied is None
    assert cared[RAW].tidied is not None
    assert shop.platform.lake.read(RAW, until=date(2020, 1, 1)).num_rows == 10
