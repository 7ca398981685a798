"""What a search may cost, and with what it begins, from the declaration to the version that the registry has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.platform_core.specs import Search, uniform
from tests.walk.kinds.samples import Lines, regression
from tests.walk.kinds.world import World

PRICE = "{price: 3.6, what: it, source: 'https://example.org', read: '2026-01-05'}"
SHEET = f"""name: Test
currency: EUR
prices: {{cpu_hour: {PRICE}, memory_gb_hour: {PRICE}, gpu_hour: {PRICE}}}
"""
TRIALS = 6


class Shrunk(Lines):
    """Lines that are flatter than they should be."""

    def __init__(self, x: Any, y: Any, shrink: float) -> None:
        super().__init__(x, y)
        self.slopes *= 1 - shrink


def shrunk(train: Any, valid: Any, params: Any, report: Any) -> Shrunk:
    """Fit, which takes a moment that counts; the less is taken off, the better."""
    time.sleep(0.005)  # what a trial costs: a moment that counts
    return Shrunk(train.x, train.y, params["shrink"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a shop whose searches are of one parameter, and a sheet by which they cost something."""
    home = tmp_path_factory.mktemp("searches")
    (home / "prices.yaml").write_text(SHEET)
    world = World(home, replace(regression(), fit=shrunk))
    world.platform.environment = replace(world.platform.environment, prices=home / "prices.yaml")
    world.trade(100, asking=False)
    yield world
    world.close()


def trained(world: World, **search: Any) -> Any:
    """Let a cycle learn by a search, and none of it go live but the first; gives what is written down of it."""
    declared = Search(TRIALS, {"shrink": uniform(0, 0.2)}, **search)
    world.model = replace(world.model, search=declared, gates=())
    cycle = world.turned(f"search {len(world.platform.registry.versions(world.ref.dotted))}")
    if rollouts.running(world.platform.ledger, world.ref):
        rollback.roll_back(world.platform, world.ref, "ada", "enough seen", world.clock.now())
    (found,) = (e for e in world.platform.ledger.entries(world.ref, [REGISTERED]) if e.cycle == cycle.cycle_id)
    return found.details


def by_number(details: Any) -> list[dict[str, float]]:
    """Return what was tried, in order."""
    return [one["params"] for one in sorted(details["leaderboard"], key=lambda one: one["number"])]


def test_a_search_begins_with_what_the_champion_was_fitted_with(world: World) -> None:
    """It is live by its own rollout; without a warm start the next search knows nothing of it."""
    champion = trained(world, warm_start=True)
    assert world.live == champion["version"] == "1"
    tried = by_number(champion)
    assert champion["params"] == min(tried, key=lambda one: one["shrink"]) != tried[0]
    cold = trained(world)
    assert by_number(cold)[0] == tried[0]
    warm = trained(world, warm_start=True)
    assert by_number(warm)[0] == champion["params"]
    assert warm["params"]["shrink"] <= champion["params"]["shrink"]


@pytest.mark.parametrize(("cost", "tried"), [(1e-9, 1), (1_000.0, TRIALS)])
def test_no_trial_begins_once_the_cost_is_spent(world: World, cost: float, tried: int) -> None:
    """By the sheet and what the model asks for; what was tried until then is a version all the same."""
    found = trained(world, cost=cost)
    assert found["trials"]["run"] == tried
    assert found["version"] in {one.version for one in world.platform.registry.versions(world.ref.dotted)}
