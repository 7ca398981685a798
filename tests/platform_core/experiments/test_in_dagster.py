"""An experiment under Dagster: the sensor asks for runs of the rollout's job, and they bring it to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from loopline.platform_core.experiments import running
from loopline.platform_core.experiments.settings import Settled
from loopline.platform_core.loop.rollouts import experiments
from tests.platform_core.experiments.conftest import REF, SALES, World

if TYPE_CHECKING:
    from tests.asset_defs.conftest import Driver

pytest.importorskip("dagster")


@pytest.fixture
def driver(world: World) -> Iterator[Driver]:
    """Give the shop's sensors and jobs, and an experiment with a second version."""
    import dagster as dg

    from loopline.asset_defs.team import team_definitions
    from tests.asset_defs.conftest import PLATFORMS, Driver, Given

    PLATFORMS[str(world.platform.home)] = world.platform
    definitions = team_definitions(world.team, Given(environment=str(world.platform.home)))
    version = world.candidate("two")
    running.start(world.platform, world.team, world.model, version, Settled(SALES, 600), "ada", "which keeps more?")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Driver(world.platform, world.team, instance, definitions)
    del PLATFORMS[str(world.platform.home)]


def observed(driver: Driver, name: str) -> list[Any]:
    """Return what the runs so far said of the deployment under a name, the oldest first."""
    from loopline.asset_defs.keys import key

    records = driver.instance.fetch_observations(key(REF.team, "deployment", REF.model), limit=20).records
    return [one.asset_observation.metadata[name].value for one in reversed(records)]


def ticked(driver: Driver) -> list[tuple[str, int]]:
    """Let the sensor look, and run what it asks for; gives action and percent of each run."""
    from loopline.asset_defs.keys import ROLLOUT_JOB

    requests = driver.tick("rollout")[0]
    for request in requests:
        assert driver.execute(ROLLOUT_JOB, run_config=request.run_config, tags=dict(request.tags)).success
    told = zip(observed(driver, "action"), observed(driver, "percent"), strict=True)
    return list(told)[-len(requests) :] if requests else []


def test_runs_bring_an_experiment_to_its_split_and_its_verdict(world: World, driver: Driver) -> None:
    """A step up, a look an hour that leaves it where it is, and the verdict, which takes the worse version back."""
    world.day(range(200))
    world.later(hours=2)
    assert ticked(driver) == [("advance", 50)]
    assert ticked(driver) == [("wait", 50)]
    assert ticked(driver) == []
    world.day(range(1000, 1600), gain=-12)
    world.later(days=3)
    assert ticked(driver) == [("roll_back", 0)]
    assert observed(driver, "reason")[-1].startswith("experiment sales: stable better: kept -")
    (one,) = experiments.every(world.platform.ledger, REF)
    assert (one.end.verdict, one.end.does) == ("stable better", "roll_back")
    assert world.record() is None
    assert ticked(driver) == []


def test_judges_take_it_back_before_its_verdict(world: World, driver: Driver) -> None:
    """Their reason is what the run tells, and the experiment ends with the rollout."""
    world.day(range(200))
    world.later(hours=2)
    assert ticked(driver) == [("advance", 50)]
    world.day(range(1000, 1200), failing=0.9)
    assert ticked(driver) == [("roll_back", 0)]
    assert "ErrorRate" in observed(driver, "reason")[-1]
    assert [one.end is not None for one in experiments.every(world.platform.ledger, REF)] == [True]
