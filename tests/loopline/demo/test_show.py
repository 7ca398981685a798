"""How far the replay of a story may be ahead of the loop."""

from __future__ import annotations

from loopline.asset_defs.keys import CYCLE_JOB, INGEST_JOB, MONITOR_JOB, ROLLOUT_JOB
from loopline.demo.show import LOOK_DAYS, STEP_DAYS, Pace


def test_few_days_go_by_between_two_looks_of_the_loop() -> None:
    """However long one takes; fewer while a cycle is open."""
    pace = Pace()
    assert not pace.waits(10, 1.0, {}, turning=False)
    assert not pace.waits(10 + LOOK_DAYS - 1, 1.0, {}, turning=False)
    assert pace.waits(10 + STEP_DAYS, 1.0, {}, turning=True)
    assert pace.waits(10 + LOOK_DAYS, 1.0, {}, turning=False)
    assert not pace.waits(10 + LOOK_DAYS, 2.0, {}, turning=False)


def test_trainings_and_steps_need_no_new_day() -> None:
    """Landing and monitoring go on beside the replay, as many days as there are between two looks."""
    for job in (CYCLE_JOB, ROLLOUT_JOB):
        assert Pace().waits(1, 1.0, {"a": job}, turning=True)
    pace, runs = Pace(), {"a": INGEST_JOB, "b": MONITOR_JOB}
    assert not pace.waits(10, 1.0, runs, turning=False)
    assert pace.waits(10 + LOOK_DAYS, 2.0, runs, turning=False)
    assert not pace.waits(10 + LOOK_DAYS, 3.0, {"c": MONITOR_JOB}, turning=False)
