"""Forecasts: figures are those of the books, intervals hold what is so, and what is missed first tells of the rest."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.estimation.evidence import Evidence
from loopline.platform_core.estimation.first_steps import DAY_US
from loopline.platform_core.foundation.names import EVENT_TIME, LABEL
from loopline.platform_core.metrics import Predictions
from loopline.platform_core.specs import Examples, Forecast, Target, direct_forecast
from loopline.platform_core.specs.yaml_files.typed_entry import typed_entry
from loopline.platform_core.targets.drawing import About, Grid, Plot
from loopline.platform_core.training import evaluate
from tests.platform_core.targets.kinds import count_drawn

TARGET = Forecast(horizon=4, season=2, history=4, unit="pieces", levels=("group",))
STEPS = TARGET.steps


def drawn(random: np.random.Generator, rows: int, worse: float = 1.0) -> Predictions:
    """Draw series of a size, with the scale of their past; what is told is ``worse`` times too much."""
    size = random.gamma(2, 5, rows)[:, None] + 2
    season = size * np.array([0.7, 1.3] * 4)
    came = random.poisson(season).astype(float)
    scale = 1.2 * np.sqrt(size)
    told = (season[:, 4:, None] + np.sqrt(season[:, 4:, None]) * np.array([-1.3, 0, 1.3])) * worse
    return TARGET.rows(np.concatenate([came[:, 4:], came[:, :4], scale], axis=1), TARGET.served(told.reshape(rows, -1)))


def test_figures_are_those_of_the_books() -> None:
    """Of two rows that are worked out by hand; the third has not come to its end, and counts nowhere."""
    past = [1.0, 3, 1, 3]
    labels = np.array([[2, 4, 2, 4, *past, 2.0], [0, 0, 0, 8, *past, 4.0], [5, np.nan, np.nan, np.nan, *past, 1.0]])
    path = np.array([[1.0, 4, 2, 6], [0, 0, 2, 4], [9, 9, 9, 9]])
    found = TARGET.values(TARGET.rows(labels, np.stack([path - 1, path, path + 1], axis=2).reshape(3, -1)))
    assert found["wape"] == pytest.approx((3 + 6) / (12 + 8))
    assert found["mase"] == pytest.approx((0.75 / 2 + 1.5 / 4) / 2)
    assert found["bias"] == pytest.approx((1 - 2) / 8)
    assert found["coverage"] == pytest.approx(5 / 8)
    assert found["interval_width"] == pytest.approx(2)
    assert STEPS.naive(labels[:1]).tolist() == [[1, 3, 1, 3]]
    flat = np.array([[1.0, 2, 3, 4, *past, 0.0]] * 2)
    assert "mase" not in TARGET.values(TARGET.rows(flat, np.ones((2, 12)))), "a series that never changes has no scale"
    nothing = np.array([[0.0] * 4 + [*past, 1.0]] * 2)
    assert "wape" not in TARGET.values(TARGET.rows(nothing, np.ones((2, 12)))), "a share of nothing is none"


@pytest.mark.parametrize("worse", [1.0, 1.4])
def test_intervals_hold_in_19_of_20(worse: float) -> None:
    """Of all metrics, of a model that is right on average and of one that says too much."""
    count_drawn(TARGET, drawn, 150, worse)


def test_quantiles_never_cross_and_nothing_is_below_0() -> None:
    """Whatever an estimator says; a target that allows it goes below 0."""
    raw = np.array([[3.0, 1, 2] * 4, [-5.0, -1, -3] * 4])
    assert TARGET.served(raw).tolist() == [[1, 2, 3] * 4, [0, 0, 0] * 4]
    assert Forecast(horizon=4, season=2, history=4, from_zero=False).served(raw)[1].tolist() == [-5, -3, -1] * 4
    answer = TARGET.answer(TARGET.served(raw).tolist())
    assert (answer["expected"][0], answer["lower"][0], answer["upper"][0]) == ([2] * 4, [1] * 4, [3] * 4)
    assert answer["total"] == [8, 0]
    assert TARGET.reading(TARGET.served(raw)).tolist() == [8, 0]


def test_lists_are_as_good_as_tuples() -> None:
    """In Python as in YAML, and one level is the only one."""
    said = {"type": "forecast", "horizon": 4, "quantiles": [0.2, 0.5, 0.8], "levels": ["group"]}
    written = typed_entry(Target, {"forecast": Forecast}, said)
    assert written == Forecast(horizon=4, quantiles=[0.2, 0.5, 0.8], levels="group")  # type: ignore[arg-type]
    assert (written.width, written.label_width) == (12, 33)


def test_labels_may_be_of_any_form_that_engines_give() -> None:
    """Null and NaN are numbers that are not known; a list of another length is named, and so is what is below 0."""
    whole = [1.0, None, float("nan"), 4, 1, 1, 1, 1, 2]
    assert TARGET.trouble(pa.chunked_array([[whole, None]])) == ""
    encoded = TARGET.encoded(pa.chunked_array([[whole], [None]]))
    assert np.isnan(encoded[0]).tolist() == [False, True, True, *[False] * 6]
    assert np.isnan(encoded[1]).all()
    assert "in 1 rows: return lists of 9 numbers" in TARGET.trouble(pa.chunked_array([[whole, whole[:-1]]]))
    assert "from_zero=False" in TARGET.trouble(pa.chunked_array([[[-1.0, *whole[1:]]]]))
    assert "is no list of numbers" in TARGET.trouble(pa.chunked_array([[["a"]]]))


def test_means_of_skewed_steps_add_up_where_medians_do_not() -> None:
    """Of lognormal steps the quantiles' mean is near the mean, and the median far below."""
    told = np.exp(np.array([-1.2816, 0, 1.2816]))
    mean = STEPS.mean(np.tile(told, 4)[None])[0, 0]
    assert abs(mean - np.exp(0.5)) < 0.1
    assert np.exp(0.5) - told[1] > 0.6


def test_what_is_drawn() -> None:
    """Fans of the newest origin's largest series, and errors beside the naive forecast's, each level's of its sums."""
    rows, start = drawn(np.random.default_rng(1), 60), datetime(2026, 1, 1, tzinfo=UTC)
    about = [About(f"s{n % 20}", start + timedelta(days=7 * (n // 20)), {"group": str(n % 2)}) for n in range(60)]
    drawings = list(TARGET.drawings(rows, about))
    fans, grids = [d for d in drawings if isinstance(d, Plot)], [d for d in drawings if isinstance(d, Grid)]
    assert len(fans) == 4
    totals = STEPS.came(rows).sum(axis=1)[40:]
    assert fans[0].title == f"s{int(totals.argmax())}"
    assert [len(curve.dots) for curve in fans[0].curves] == [4, 8]
    assert grids[0].values[grids[0].rows.index("wape")][0] == pytest.approx(TARGET.values(rows)["wape"], rel=1e-3)
    assert grids[1].rows == ["2026-01-01", "2026-01-08", "2026-01-15"]
    assert grids[2].rows == ["series", "group", "all"]
    series, _, whole = (values[0] for values in grids[2].values)
    assert whole < series, "errors of series cancel out in their sum"
    rows.labels[:, 3] = np.nan
    assert list(TARGET.drawings(rows, about)) == []


def evidence(random: np.random.Generator, harder: float) -> tuple[Evidence, Predictions]:
    """Give rows held out, and newer answers of which a day or two have come, in a world ``harder`` to tell."""
    held = drawn(random, 1_000)
    kept = TARGET.estimation.held_out(TARGET, held.raw, held.labels)
    rows = drawn(random, 600)
    missed = rows.labels[:, :4] - STEPS.median(rows.raw)
    rows.labels[:, :4] = (STEPS.median(rows.raw) + harder * missed).clip(0)
    event_us = np.repeat(np.arange(3), 200) * DAY_US
    return Evidence(TARGET.estimation, TARGET, kept, event_us, rows.raw, rows.labels), rows


@pytest.mark.parametrize("harder", [1.0, 2.0])
def test_what_is_missed_first_tells_how_much_will_be(harder: float) -> None:
    """Before anything has come to its end: the estimate follows the change, and its interval holds in 9 of 10 times."""
    hits, found = 0, []
    for seed in range(24):
        given, rows = evidence(np.random.default_rng(seed), harder)
        meaning = given.by(2 * DAY_US - TARGET.estimation.ahead_us(TARGET))
        assert meaning.counts.begun.rows == 600, "none of them has come to its end"
        (figure,) = meaning.estimated(TARGET, rows.raw, TARGET.metrics.values())
        truth = TARGET.values(rows)["wape"]
        hits += figure.low <= truth <= figure.high
        found.append(figure.value / truth)
    assert hits >= 21, hits
    assert abs(np.mean(found) - 1) < 0.05


def test_what_was_not_known_yet_is_not_learnt_from() -> None:
    """A step counts from the moment on at which it could be known, however late a window is measured."""
    labels = np.tile(np.arange(9.0), (3, 1))
    known = TARGET.estimation.known(TARGET, labels, np.array([0, 1, 3]) * float(DAY_US))
    assert np.isnan(known).sum(axis=1).tolist() == [3, 2, 0]
    assert np.isfinite(known[:, 4:]).all()


def _examples(rows: int) -> Examples:
    given = drawn(np.random.default_rng(3), rows)
    past = STEPS.past(given.labels)
    x = np.column_stack([past[:, ::-1][:, :2], past.mean(axis=1)])
    return Examples(x, given.labels, ("day_1", "day_2", "level"), {})


def test_one_model_of_all_series_beats_who_repeats_the_last_season() -> None:
    """Told as the server tells it, after its file was read; the same rows give the same trees."""
    train, valid, judged = (_examples(rows) for rows in (500, 200, 200))
    params = {"num_leaves": 7, "min_child_samples": 20}

    def fit() -> Any:
        return direct_forecast(
            TARGET, train, valid, params, lambda step, score: None, level="level", by_season=("day",), most_cells=900
        )

    fitted = fit()
    raw = TARGET.predictions(fitted, judged.x)
    assert np.array_equal(TARGET.predictions(pickle.loads(pickle.dumps(fitted)), judged.x), raw)
    assert np.array_equal(TARGET.predictions(fit(), judged.x), raw)
    mine, naive = (TARGET.values(TARGET.rows(judged.y, side)) for side in (raw, TARGET.naive(judged.y)))
    assert mine["mase"] < 0.9 * naive["mase"]
    with pytest.raises(InvalidSpec, match="looks for the feature 'size'"):
        direct_forecast(TARGET, train, valid, {}, lambda step, score: None, level="size")


def test_parts_of_a_training_set_share_no_day() -> None:
    """Rows whose labels reach into the next part are in none: the same days would be learnt from and judged."""
    start, labels = datetime(2026, 1, 1, tzinfo=UTC), drawn(np.random.default_rng(2), 100).labels
    times = [start + timedelta(days=n) for n in range(100)]
    table = pa.table({EVENT_TIME: pa.array(times, pa.timestamp("us", "UTC")), LABEL: pa.array(labels.tolist())})
    parts = evaluate.split(table, TARGET)
    assert (parts.train.stop, parts.valid.start) == (61, 64)
    assert (parts.valid.stop, parts.evaluation.start) == (77, 80)
    drawings = evaluate.drawn(table, [], [], TARGET, TARGET.naive(labels))
    assert json.loads(json.dumps(drawings)) == drawings
