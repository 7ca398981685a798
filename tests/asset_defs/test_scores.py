"""A batch is an asset of days: a run scores one, a night asks for the day that was waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from loopline.asset_defs import scores
from loopline.asset_defs.keys import key
from loopline.asset_defs.team import team_definitions
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.names import DATE, ModelRef, raw_table, scores_table
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.specs import Batch, Model, Team, feature_view
from loopline.platform_core.testing.engines.engine_tables import ORDERS, at, large_order, put_contract, raw_orders
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine

REF = ModelRef("shop", "large_orders")


@feature_view(ORDERS, entity="customer", time="ordered_at", served="request")
def each_order(orders):
    """Per order: its amount."""
    return orders.select("customer", "ordered_at", "amount")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    """Declare two models, of which one is scored in batches."""
    put_contract(tmp_path / "orders.yaml")
    batch = Batch(each_order, start=date(2020, 1, 1), wait_days=1)
    quiet = Model("quiet", (), large_order, fit=None)
    return Team("shop", tmp_path, (replace(quiet, name=REF.model, batch=batch), quiet))


@pytest.fixture
def platform(tmp_path: Path):
    """Open a platform on which a version is live and two orders have landed."""
    bindings = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "engine": PolarsEngine(),
        "registry": InMemoryRegistry(),
        "serving": InMemoryServing(),
    }
    platform = Platform(Environment("t", tmp_path / "e", bindings, f"sqlite:///{tmp_path}/l.db", None, tmp_path))
    rows = raw_orders((1, 3, 4, 5.0, "a"), (2, 30, 31, 6.0, "b"))
    platform.lake.append(raw_table("shop", "orders"), rows.append_column(DATE, rows["ordered_at"].cast("date32")))
    served = Served("1", write_package(tmp_path / "package", Constant(0.25)), "cycle-1")
    msgspec.structs.replace(manifest.load(served.package), entities=["customer"]).save(served.package)
    platform.registry.publish(Publication(REF.dotted, served.package, None, rows))
    change(platform, REF, served, None, 0, actor="t", reason="t", cycle="cycle-1", now=at(0))
    yield platform
    platform.close()


def test_a_run_scores_a_day(team: Team, platform: Platform) -> None:
    """Its rows are the day's, and the run says how many, by which version, and whether they were there before."""
    asset, resources = scores.scores_asset(team, team.models[0]), {"platform": platform}
    for already in (False, True):
        done = dg.materialize([asset], partition_key="2020-01-02", resources=resources)
        (event,) = done.asset_materializations_for_node("shop__large_orders_scores")
        said = {name: value.value for name, value in event.metadata.items()}
        assert (said["dagster/partition_row_count"], said["version"], said["already"]) == (1, "1", already)
    (row,) = platform.lake.read(scores_table(*REF)).to_pylist()
    assert (row["score"], row["keys"], row["role"]) == (0.25, '{"customer":2}', "batch")


def test_a_night_asks_for_the_day_that_was_waited_for(team: Team) -> None:
    """Only for models with a batch, from their first day on, each day under a key of its own."""
    repository = team_definitions(team).get_repository_def()
    schedule = repository.get_schedule_def("loopline_scores_nightly")
    for night, asked in ((3, ["2020-01-01"]), (2, []), (20, ["2020-01-18"])):
        moment = datetime(2020, 1, night, 2, 10, tzinfo=UTC)
        context = dg.build_schedule_context(scheduled_execution_time=moment, repository_def=repository)
        requests = schedule.evaluate_tick(context).run_requests
        assert [request.partition_key for request in requests] == asked
        assert [request.run_key for request in requests] == [f"large_orders-{each}" for each in asked]
        assert all(request.asset_selection == [key("shop", "scores", "large_orders")] for request in requests)


def test_a_team_without_batches_has_none(team: Team) -> None:
    """Neither asset, job nor schedule: the graph of who does not want it stays as it was."""
    quiet = team_definitions(replace(team, models=team.models[1:]))
    loud = team_definitions(team)
    for definitions, count in ((quiet, 0), (loud, 1)):
        repository = definitions.get_repository_def()
        assert sum(job.name == "loopline_scores" for job in repository.get_all_jobs()) == count
        assert sum(each.name == "loopline_scores_nightly" for each in repository.schedule_defs) == count
