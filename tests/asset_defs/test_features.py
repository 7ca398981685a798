"""A feature view's asset says what a materialization did, and how fresh it is."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from loopline.asset_defs.features import view_asset
from loopline.asset_defs.keys import key
from loopline.asset_defs.sensors.ingest_sensor import ingested_keys
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.environment import Environment
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.engines.engine_tables import large_order, put_contract, spending
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Open a shop that has sold nothing."""
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "online_store": SqliteOnlineStore(path=str(tmp_path / "online.db")),
    }
    bound = Environment("t", tmp_path / "e.yaml", bindings, f"sqlite:///{tmp_path}/l.db", tmp_path / "clock", tmp_path)
    put_contract(tmp_path / "orders.yaml")
    return Shop(Platform(bound), Team("shop", tmp_path, (Model("large", (spending,), large_order, fit=print),)))


def test_the_newest_events_age_is_told(shop: Shop) -> None:
    """It is counted on the platform's clock; where nothing new came there is no age to tell."""
    shop.land((1, 0, 1, 2.0, "a"), (1, 4, 5, 3.0, "b"))
    shop.clock(20)
    asset = view_asset(shop.team, spending)
    said = []
    for _ in range(2):
        done = dg.materialize([asset], resources={"platform": shop.platform})
        (event,) = done.get_asset_materialization_events()
        said.append({name: value.value for name, value in event.materialization.metadata.items()})
    assert (said[0]["dagster/row_count"], said[0]["newest_event_age_hours"]) == (2, 16.0)
    assert said[1]["newest_event"] == "none"
    assert "newest_event_age_hours" not in said[1]


def test_two_versions_stand_side_by_side(shop: Shop) -> None:
    """A model on a view's next version has it beside the old one: own asset, own table, own place online."""
    newer = replace(spending, version=2, ttl_days=None)
    models = [Model(name, (view,), large_order, fit=print) for name, view in (("large", spending), ("huge", newer))]
    team = replace(shop.team, models=tuple(models))
    graph = team_definitions(team).resolve_asset_graph()
    for model, view in (("large", "spending"), ("huge", "spending_v2")):
        parents = graph.get(key("shop", "training_set", model)).parent_keys
        assert parents == {key("shop", "features", view)}
    assert {k.path[-1] for k in ingested_keys(team, spending.source)} == {
        "orders_raw",
        "orders_dead_letters",
        "spending_features",
        "spending_v2_features",
    }
    shop.land((1, 0, 1, 2.0, "a"))
    shop.clock(20)
    done = dg.materialize([view_asset(team, view) for view in team.views], resources={"platform": shop.platform})
    assert done.success
    assert len(shop.offline(spending)) == len(shop.offline(newer)) == 1
    assert shop.online("1", view=spending) == shop.online("1", view=newer) == [("a", 1, 2.0)]


def test_days_are_computed_again_by_config(shop: Shop) -> None:
    """What differs there is kept and told; without days nothing is computed again, and odd days are refused."""
    shop.land((1, 0, 1, 2.0, "a"), (1, 30, 31, 3.0, "b"))
    asset = view_asset(shop.team, spending)

    def made(**days: str) -> dg.ExecuteInProcessResult:
        config = {"ops": {asset.op.name: {"config": days}}}
        return dg.materialize([asset], resources={"platform": shop.platform}, run_config=config, raise_on_error=False)

    def told(done: dg.ExecuteInProcessResult) -> dict[str, object]:
        (event,) = done.get_asset_materialization_events()
        return {name: value.value for name, value in event.materialization.metadata.items()}

    assert "again_rows" not in told(made())
    day = shop.platform.lake.read("shop/features/spending.v1")["event_time"].to_pylist()[0].date().isoformat()
    said = told(made(since=day))
    assert (said["again_since"], said["again_until"], said["again_rows"]) == (day, day, 0)
    for odd in ({"since": "May"}, {"until": day}, {"since": "2024-05-02", "until": "2024-05-01"}):
        assert not made(**odd).success
