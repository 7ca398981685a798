"""What a person does who only knows Dagster: materialize, run again, cancel, wipe. Nothing is left waiting."""

from __future__ import annotations

import dagster as dg
import pytest

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, MODEL_TAG, TURN, WORK_TAG, key
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments.deployments import deployment

ONE = ModelRef("tiny", "one")


def selected(*stages: str, model: str = "one") -> list[dg.AssetKey]:
    """Name assets of a model."""
    return [key("tiny", stage, model) for stage in stages]


def open_names(driver) -> list[str]:
    """Name the open cycles."""
    return [cycle.cycle_id for cycle in cycles.open_cycles(driver.platform.ledger)]


def tags_of(driver, run_id: str) -> dict[str, str]:
    """Return a run's tags as Dagster keeps them."""
    return dict(driver.instance.get_run_by_id(run_id).tags)


@pytest.fixture
def begun(driver):
    """Let a person materialize the turn of a model that cannot train here: its run fails behind the first step."""
    return driver.execute(CYCLE_JOB, asset_selection=selected(*TURN))


def test_a_turn_by_hand_is_one_run(driver, begun):
    """Its run bears the cycle that it opened, so that the sensor does not start another one beside it."""
    (cycle,) = open_names(driver)
    found = tags_of(driver, begun.run_id)
    assert (found[CYCLE_TAG], found[MODEL_TAG], found[WORK_TAG]) == (cycle, "tiny/one", "training")
    ((request,), _) = driver.tick("cycle")
    assert request.run_key == f"{cycle}:2"


@pytest.mark.parametrize("stages", [("deployment",), ("model",), ("model", "deployment")])
def test_a_part_without_what_is_before_it_opens_no_cycle(driver, stages):
    """It fails with what to do, and nothing is left that waits."""
    done = driver.execute(CYCLE_JOB, asset_selection=selected(*stages))
    assert not done.success
    assert open_names(driver) == []
    assert driver.tick("cycle")[0] == []


def test_the_deployment_alone_rolls_out_the_newest_version(driver):
    """A person who materializes it asks for the version that is there, not for another training."""
    cycle = driver.open_cycle("one", "first")
    version = driver.trained("one", cycle, 0.9)
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected("model"))  # and its gates
    assert driver.execute(CYCLE_JOB, asset_selection=selected("deployment")).success
    assert (driver.state(cycle)[0], open_names(driver)) == ("promoted", [])
    assert deployment(driver.platform.ledger, ONE).stable.version == version


def test_what_a_gate_read_is_plotted(driver):
    """On the check: its value and its bound are numbers of their own, version after version."""
    cycle = driver.open_cycle("one", "first")
    driver.trained("one", cycle, 0.9)
    done = driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected("model"))
    (check,) = done.get_asset_check_evaluations()
    drawn = {name: entry.value for name, entry in check.metadata.items() if isinstance(entry, dg.FloatMetadataValue)}
    assert drawn == {"value/AtLeast(roc_auc)": 0.9, "bound/AtLeast(roc_auc)": 0.6}


def test_a_closed_cycle_run_again_whole_is_another_turn(driver):
    """Tags are copied to the run that a person executes again; what was promoted stays as it was."""
    cycle = driver.open_cycle("one", "first")
    driver.trained("one", cycle, 0.9)
    assert driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected(*TURN)).success
    assert driver.state(cycle)[0] == "promoted"
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected(*TURN))
    (another,) = open_names(driver)
    assert another != cycle


def test_a_step_of_a_closed_cycle_run_again_changes_nothing(driver):
    """The rollout is over; the step finds it so, and no cycle is opened."""
    cycle = driver.open_cycle("one", "first")
    driver.trained("one", cycle, 0.9)
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected(*TURN))
    assert driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=selected("deployment")).success
    assert (driver.state(cycle)[0], open_names(driver)) == ("promoted", [])


def test_a_run_for_two_models_never_takes_one_for_the_other(driver):
    """The tag names the cycle of one; the other model's steps have a cycle of their own."""
    cycle = driver.open_cycle("one", "first")
    both = [*selected(*TURN), *selected(*TURN, model="two")]
    driver.execute(CYCLE_JOB, tags={CYCLE_TAG: cycle}, asset_selection=both)
    found = {c.ref.model: c.cycle_id for c in cycles.open_cycles(driver.platform.ledger)}
    assert found["one"] == cycle
    assert found["two"] != cycle


def test_after_a_wipe_the_loop_goes_on(driver):
    """Who wipes what Dagster recorded takes nothing from the ledger: the next alarm opens a cycle."""
    driver.check_drift("one", alarm="first")
    ((request,), _) = driver.tick("cycle")
    driver.instance.wipe_assets(selected("drift"))
    cycles.close_cycle(
        driver.platform.ledger, request.tags[CYCLE_TAG], "failed", "the test says so", driver.platform.clock.now()
    )
    driver.later(48)
    driver.check_drift("one", alarm="second")
    ((request,), _) = driver.tick("cycle")
    assert request.tags["loopline/cause"] == "drift: second"
