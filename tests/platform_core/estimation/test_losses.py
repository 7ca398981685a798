"""Errors before labels come: by the prediction, as far as what was held out, and labels that came, tell of it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.estimation.held_out import NONE, HeldOut, load
from loopline.platform_core.metrics import Figure
from loopline.platform_core.monitor.quality.figures import realised
from loopline.platform_core.targets import Regression

TARGET, LOSSES = Regression("GBP"), Regression.estimation
EVERY = list(TARGET.metrics.values())


def world(random: np.random.Generator, rows: int, moved: float = 0.0, size: float = 0.3) -> tuple[np.ndarray, ...]:
    """Draw predictions, many small and few large ones, and what came; errors are a share ``size`` of what is said."""
    said = random.lognormal(3 + moved, 0.5, rows)
    return said, said + random.normal(0, size, rows) * said


def kept(held: np.ndarray, truth: np.ndarray) -> HeldOut:
    """Return what a package keeps of held-out rows."""
    return LOSSES.held_out(TARGET, held, truth)


def guess(held: HeldOut, said: np.ndarray) -> dict[str, Figure]:
    """Estimate by held-out rows alone."""
    meaning = Evidence(LOSSES, TARGET, held, np.zeros(0, np.int64), said[:0], said[:0]).by(0)
    return {f.metric: f for f in meaning.estimated(TARGET, said, EVERY)}


def real(said: np.ndarray, truth: np.ndarray) -> dict[str, Figure]:
    """Measure with labels."""
    return {f.metric: f for f in realised(TARGET.rows(truth, said), EVERY) if f.metric in {"mae", "rmse"}}


def test_another_mix_of_predictions_is_followed() -> None:
    """Where larger values are predicted the errors are larger, and that is known without a label."""
    random, sizes = np.random.default_rng(1), list[float]()
    held = kept(*world(random, 20_000))
    for moved in (-0.8, 0.0, 0.8):
        said, truth = world(random, 20_000, moved)
        guessed, measured = guess(held, said), real(said, truth)
        assert list(guessed) == ["mae", "rmse"]
        assert guessed["mae"].value == pytest.approx(measured["mae"].value, rel=0.06), moved
        assert guessed["rmse"].value == pytest.approx(measured["rmse"].value, rel=0.2), moved
        sizes.append(measured["mae"].value)
    assert max(sizes) > 4 * min(sizes), "there was something to follow"


def test_nineteen_of_twenty_intervals_hold_what_is_realised() -> None:
    """With 2,000 rows held out and 600 in a window whose mix has moved, over 200 windows."""
    random, counts = np.random.default_rng(2), {"mae": 0, "rmse": 0}
    for _ in range(200):
        held = HeldOut(*(side.tolist() for side in world(random, 2_000)))
        said, truth = world(random, 600, 0.3)
        guessed, measured = guess(held, said), real(said, truth)
        for name, figure in measured.items():
            counts[name] += guessed[name].low <= figure.value <= guessed[name].high
    assert {name: count / 200 for name, count in counts.items() if not 0.91 <= count / 200 <= 0.985} == {}


def answered(held: HeldOut, said: np.ndarray, truth: np.ndarray) -> Evidence:
    """Put answered rows, one a microsecond, beside those held out."""
    return Evidence(LOSSES, TARGET, held, np.arange(len(said)), said, truth)


def test_a_change_of_meaning_is_not_seen_until_labels_come() -> None:
    """The same is predicted, and what comes is twice as far away: the newest labels take the place of rows held out."""
    random = np.random.default_rng(3)
    evidence = answered(kept(*world(random, 2_000)), *world(random, 3_000, size=0.6))
    said, truth = world(random, 5_000, size=0.6)
    measured = real(said, truth)["mae"].value
    before, after = (
        next(meaning.estimated(TARGET, said, EVERY)) for meaning in (evidence.by(-1), evidence.by(3_000)) if meaning
    )
    assert before.high < 0.7 * measured, "its interval holds only while errors are what they were"
    assert after.low < measured < after.high


def test_all_labels_that_agree_are_learnt_from_and_what_was_otherwise_is_left_behind() -> None:
    """Ten thousand rows held out and as many labels say the same; of another world's rows none counts."""
    random = np.random.default_rng(4)
    same = answered(kept(*world(random, 10_000)), *world(random, 10_000)).by(10_000)
    other = answered(kept(*world(random, 10_000, size=0.1)), *world(random, 5_000)).by(5_000)
    assert (same.rows, other.rows) == (20_000, 4_000), "a block that is half of the old world goes with it"


def test_few_rows_or_one_value_tell_nothing() -> None:
    """A hundred labels that differ are the least; a model that always says the same has one bend, and an estimate."""
    random = np.random.default_rng(5)
    said, truth = world(random, 200)
    assert answered(NONE, said[:90], truth[:90]).by(200) is None
    assert answered(NONE, said, np.ones(200)).by(200) is None
    always = np.full(200, 20.0)
    mae, rmse = answered(NONE, always, truth).by(200).estimated(TARGET, always, EVERY)
    assert mae.value == pytest.approx(np.abs(always - truth).mean())
    assert rmse.value == pytest.approx(np.sqrt(((always - truth) ** 2).mean()))


def test_a_model_that_is_always_right_is_expected_to_be() -> None:
    """No loss has no logarithm."""
    said, _ = world(np.random.default_rng(6), 500)
    mae, rmse = answered(NONE, said, said).by(500).estimated(TARGET, said, EVERY)
    assert (mae.value, rmse.value) == (0.0, 0.0)
    assert (mae.high, rmse.high) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_rows_of_any_scale_are_estimated_alike() -> None:
    """Pence or millions: nothing in it is of a size."""
    random = np.random.default_rng(7)
    (held, truth), (said, _) = world(random, 3_000), world(random, 500, 0.2)
    found = [guess(kept(held * scale, truth * scale), said * scale)["rmse"] for scale in (1e-6, 1.0, 1e6)]
    assert [f.value / found[1].value for f in found] == pytest.approx([1e-6, 1.0, 1e6], rel=1e-3)
    assert [f.high / found[1].high for f in found] == pytest.approx([1e-6, 1.0, 1e6], rel=1e-3)


def test_held_out_rows_travel_in_the_package(tmp_path) -> None:
    """The newest 2,000, and of older ones sums; those of other losses are none, and a package of before has none."""
    assert load(tmp_path, LOSSES.file) == NONE
    held = kept(*world(np.random.default_rng(8), 20_000))
    held.save(tmp_path, LOSSES.file)
    assert load(tmp_path, LOSSES.file) == held
    assert len(msgspec.json.encode(held)) < 100_000
    assert sum(group[1] for group in held.older) == 18_000
    assert replace(LOSSES, names=("mae",)).older(held) is None


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize(("odd", "told"), [(1e70, {"mae"}), (1e200, set()), (1e308, set())])
def test_one_label_beyond_all_measure_stops_no_look(odd: float, told: set[str]) -> None:
    """What can still be said is, and nothing else."""
    said, truth = world(np.random.default_rng(9), 400)
    truth[13] = odd
    meaning = answered(NONE, said, truth).by(400)
    assert {f.metric for f in meaning.estimated(TARGET, said, EVERY) if f.is_finite} >= told
