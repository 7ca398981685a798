"""The sensor of merged wishes: a run where something is due, an alarm where it cannot be, quiet otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from loopline.asset_defs.keys import CAUSE_TAG, MODEL_TAG, PROMOTION_JOB
from loopline.asset_defs.sensors.promotion_sensor import promotion_job, promotion_sensor
from loopline.platform_core import alarms
from loopline.platform_core.environment import Promotions
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import promotion_requests
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.turn import start_rollout

ONE = ModelRef("tiny", "one")


@pytest.fixture
def folder(driver, tmp_path: Path) -> Path:
    """Let the environment of a driver carry out what a folder says."""
    found = tmp_path / "promotions"
    found.mkdir()
    driver.platform.environment = replace(driver.platform.environment, promotions=Promotions(found))
    driver.definitions = dg.Definitions.merge(
        driver.definitions, dg.Definitions(jobs=[promotion_job(driver.team)], sensors=[promotion_sensor(driver.team)])
    )
    return found


def wish(folder: Path, version: str) -> None:
    """Merge a wish."""
    file = folder / promotion_requests.place(ONE)
    file.parent.mkdir(exist_ok=True)
    file.write_text(promotion_requests.text_of(ONE, version, "anna", "it is better", hold=False))


def test_a_merged_wish_is_one_run(driver, folder):
    """Its tags name model and person; carried out, nothing is requested any more, and the rollout runs."""
    cycle = driver.open_cycle("one", "first")
    first = driver.judged("one", cycle)
    start_rollout(driver.platform, ONE, driver.team.model("one"), first, cycle, driver.platform.clock.now())
    assert driver.tick("promotion") == ([], "nothing new is wished")
    version = driver.judged("one", driver.open_cycle("one", "second"))
    wish(folder, version)
    ((request,), _) = driver.tick("promotion")
    assert {MODEL_TAG: "tiny/one", CAUSE_TAG: "anna: it is better"}.items() <= request.tags.items()
    assert driver.execute(PROMOTION_JOB, run_config=request.run_config, tags=dict(request.tags)).success
    assert rollouts.running(driver.platform.ledger, ONE).version == version
    assert driver.tick("promotion") == ([], "nothing new is wished")


def test_a_run_under_way_is_waited_for(driver, folder):
    """No second run is requested while one carries the wish out; what failed has another key five minutes later."""
    version = driver.judged("one", driver.open_cycle("one", "first"))
    wish(folder, version)
    ((request,), _) = driver.tick("promotion")
    assert driver.tick("promotion")[0][0].run_key == request.run_key
    driver.run(PROMOTION_JOB, request.tags, dg.DagsterRunStatus.STARTED)
    assert driver.tick("promotion")[0] == []


def test_what_cannot_be_met_is_an_alarm_and_no_run(driver, folder):
    """Until the file says something else."""
    wish(folder, "99")
    requests, said = driver.tick("promotion")
    assert requests == []
    assert "no gate of this environment ever judged it" in said
    (alarm,) = alarms.standing(driver.platform.ledger)
    assert alarm.alarm.cause == "promotion:tiny/one"
    version = driver.judged("one", driver.open_cycle("one", "first"))
    wish(folder, version)
    assert len(driver.tick("promotion")[0]) == 1
    assert alarms.standing(driver.platform.ledger) == []


def test_without_promotions_in_the_environment_there_is_no_sensor_and_no_job(driver):
    """An idle tick costs; who promotes otherwise pays none, and sees none."""
    repository = driver.definitions.get_repository_def()
    assert "loopline_promotion_sensor" not in {sensor.name for sensor in repository.sensor_defs}
    assert not repository.has_job(PROMOTION_JOB)
