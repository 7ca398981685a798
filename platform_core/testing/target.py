"""Conformance kit of kinds of models (targets).

Subclass ``TargetKit`` and give two fixtures: ``target``, with settings of its own, and ``sample``, a ``Sample`` of what
such a model may see. Rows are few hundred, and nothing is fitted here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.number_lists import there
from loopline.platform_core.metrics.metric import Metric, Predictions
from loopline.platform_core.targets import drawing
from loopline.platform_core.targets.drawing import About
from loopline.platform_core.targets.target import TOLERANCE, Target
from loopline.platform_core.testing.parts.expect import raises

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

LEAST_ROWS = 240
"""Of a sample: some losses settle by the first hundred labels how rows are compared."""
ROUNDING = 1e-9
LIBRARIES = ("numpy", "pyarrow", "scipy", "sklearn", "lightgbm", "pandas", "polars")
_TYPES = {"FP64": float, "INT64": int, "BYTES": str}
_PINNED = {"training_set_id", "team", "model", "as_of", "tables", "spec_hash", "row_hash", "rows", "key", "left_out"}
_LOOK = "import {0}, sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}} & {{*{1}}}))"


@dataclass(frozen=True, eq=False)
class Sample:
    """What a model of a kind may see, and what it may not.

    ``x`` is float64 (rows, features) and ``labels`` are theirs, all of them labels. ``right`` are raw predictions that
    are right in each row. ``good`` and ``bad`` are estimators fitted as the kind has it, of which the first is clearly
    better, and ``foreign`` one of another kind. Of ``odd`` each label is none of the kind; from ``alike`` nothing can
    be learnt.
    """

    x: Floats
    labels: pa.ChunkedArray
    right: Floats
    good: Any
    bad: Any
    foreign: Any
    odd: pa.ChunkedArray
    alike: pa.ChunkedArray


class TargetKit:
    """One test a promise of ``Target``."""

    def test_1_declaring_it_imports_no_library(self, target: Target) -> None:
        """A command line that draws the team's graph waits for none."""
        assert _imported(type(target).__module__) == ""

    def test_1_it_can_be_made_without_settings(self, target: Target) -> None:
        """A gate asks every kind for its metrics before it knows of which model it is."""
        plain = type(target)()
        assert list(plain.metrics) == list(target.metrics)
        assert [plain.metrics[name].better for name in plain.metrics] == [m.better for m in target.metrics.values()]
        assert {target.searched, *target.of_segments, *target.of_life} <= set(target.metrics)
        assert target.metrics[target.searched].is_searched

    def test_2_packages_give_settings_back(self, target: Target) -> None:
        """As they were, through JSON."""
        said = json.loads(json.dumps(target.to_json()))
        assert said.pop("kind") == target.kind
        assert type(target).of_settings(said) == target
        assert not list(target.problems())

    def test_3_labels_of_the_kind_pass_and_others_are_named(self, target: Target, sample: Sample) -> None:
        """Nulls pass: they are no label."""
        assert target.trouble(sample.labels) == ""
        assert target.trouble(_with_null(sample.labels)) == ""
        told = target.trouble(sample.odd)
        assert str(sample.odd[0]) in told
        assert ": " in told, "a problem and a fix"

    def test_3_texts_and_numbers_are_looked_at(self, target: Target) -> None:
        """Whatever comes of a label function is told, and stops nobody otherwise; of nothing nothing is said."""
        for odd in ("?: !", "0.5"):
            assert target.trouble(pa.chunked_array([[odd, None]]))
        assert isinstance(target.trouble(pa.chunked_array([[0.5, None]])), str)
        for kind in (pa.string(), pa.float64()):
            assert target.trouble(pa.chunked_array([pa.nulls(2, kind)])) == ""

    def test_3_labels_become_numbers(self, target: Target, sample: Sample) -> None:
        """Float64 of as many rows, NaN where there is no label; of several numbers the first says whether there is."""
        encoded = target.encoded(_with_null(sample.labels))
        rows = len(sample.labels) + 1
        assert encoded.dtype == np.float64
        assert encoded.shape == ((rows,) if target.label_width == 1 else (rows, target.label_width))
        assert np.flatnonzero(~there(encoded)).tolist() == [len(sample.labels)]

    def test_4_what_metrics_cannot_measure_is_refused(self, target: Target, sample: Sample) -> None:
        """And what they can is not."""
        assert len(sample.labels) >= LEAST_ROWS
        assert target.shortage(target.encoded(sample.labels)) == ""
        assert target.shortage(target.encoded(sample.alike))
        assert target.shortage(target.encoded(sample.labels)[:0])
        found = target.values(_rows(target, sample, sample.good))
        assert {target.searched, *target.of_life} <= set(found)

    def test_5_raw_is_so_many_numbers_a_row(self, target: Target, sample: Sample) -> None:
        """Of the estimator, and of a form that gives them as they are."""
        raw = target.predictions(sample.good, sample.x)
        shape = (len(sample.x),) if target.width == 1 else (len(sample.x), target.width)
        assert raw.dtype == np.float64
        assert raw.shape == shape
        assert np.isfinite(raw).all()
        assert np.allclose(target.served(raw), raw, atol=ROUNDING)

    def test_6_an_estimator_of_another_kind_is_refused(self, target: Target, sample: Sample) -> None:
        """Its answers might look as if they were right."""
        with raises(InvalidSpec, match=r"target=\w+\("):
            target.predictions(sample.foreign, sample.x)

    def test_7_a_row_has_one_reading_and_one_decision(self, target: Target, sample: Sample) -> None:
        """The same as if it were alone."""
        raw = target.predictions(sample.good, sample.x)
        for of in (target.reading, target.decided):
            found = of(raw)
            assert found.shape == (len(raw),)
            assert np.isfinite(found.astype(float)).all()
            assert np.array_equal(_one_by_one(of, raw), found[:9])
        assert np.array_equal(_one_by_one(target.served, raw), target.served(raw)[:9])

    def test_8_an_answer_holds_the_outputs(self, target: Target, sample: Sample) -> None:
        """By name, in their order, of their type and size; and it is JSON."""
        raw = target.predictions(sample.good, sample.x)[:7].tolist()
        answer = target.answer(raw)
        assert list(answer) == [output.name for output in target.outputs]
        for output in target.outputs:
            values = answer[output.name]
            assert len(values) == len(raw)
            assert all(len(value) == output.width for value in values if isinstance(value, list))
            assert {type(value) for value in _flat(values)} == {_TYPES[output.datatype]}
            assert output.width == 1 or isinstance(values[0], list)
        assert json.loads(json.dumps(answer)) == answer

    def test_9_right_is_best(self, target: Target, sample: Sample) -> None:
        """No estimator is beyond it, on the side that a metric calls better."""
        right, good = _rows(target, sample, sample.right), _rows(target, sample, sample.good)
        for name, metric in target.metrics.items():
            best, other = (metric.value(rows) for rows in (right, good))
            if metric.better == "neither" or best is None or other is None:
                continue
            assert best <= metric.top + ROUNDING
            if metric.better == "higher":
                assert best >= metric.top - ROUNDING, f"{name} of right predictions is {best}"
            assert (other - best) * _sign(metric) <= ROUNDING, f"{name}: {other} is better than {best}"

    def test_9_the_better_estimator_is_found(self, target: Target, sample: Sample) -> None:
        """By the metric that a search goes by."""
        metric = target.metrics[target.searched]
        good, bad = (metric.value(_rows(target, sample, one)) for one in (sample.good, sample.bad))
        assert good is not None
        assert bad is not None
        assert (good - bad) * _sign(metric) > 0

    def test_10_losses_have_bounds_and_order_as_the_metric(self, target: Target, sample: Sample) -> None:
        """They lie in 0..1, and the better of two models loses less."""
        sides = [_rows(target, sample, one) for one in (sample.good, sample.bad)]
        for name, metric in _compared(target, sides[0]):
            (mine, other), values = (metric.losses(side) for side in sides), [metric.value(side) for side in sides]
            assert all(((one.values >= 0) & (one.values <= 1)).all() for one in (mine, other)), name
            by_value = (values[0] - values[1]) * _sign(metric)
            by_loss = (other.values.mean() - mine.values.mean()) * mine.unit
            assert by_value * by_loss > 0, f"{name}: {by_value} and {by_loss}"

    def test_10_losses_do_not_know_what_comes_later(self, target: Target, sample: Sample) -> None:
        """A judge looks after every label: what it has seen must stay."""
        rows = _rows(target, sample, sample.good)
        some = len(rows) * 3 // 4
        for name, metric in _compared(target, rows):
            early = metric.losses(_first(rows, some))
            assert len(early.values) <= len(metric.losses(rows).values)
            assert np.array_equal(early.values, metric.losses(rows).values[: len(early.values)]), name

    def test_11_intervals_hold_the_value(self, target: Target, sample: Sample) -> None:
        """Of few rows and of many, of good models and of right ones."""
        for one in (sample.good, sample.bad, sample.right):
            rows = _rows(target, sample, one)
            for name, metric in target.metrics.items():
                self._holds(name, metric, rows)
                self._holds(name, metric, _first(rows, 9))
        found = target.metrics[target.searched].interval(_rows(target, sample, sample.good))
        assert found is not None
        assert found.low < found.high, "rows are never all that there is"

    def _holds(self, name: str, metric: Metric, rows: Predictions) -> None:
        value, found = metric.value(rows), metric.interval(rows)
        if found is None:
            return
        assert value is not None, name
        assert abs(found.value - value) < ROUNDING, name
        assert found.low - ROUNDING <= value <= found.high + ROUNDING, f"{name}: {found}"
        assert found.high <= metric.top + ROUNDING, f"{name}: {found}"

    def test_12_a_form_that_is_off_is_found(self, target: Target, sample: Sample) -> None:
        """By a number, by its shape, by what is no number; one that is alike passes."""
        own = target.predictions(sample.good, sample.x)
        assert target.apart(own, own + TOLERANCE / 100 * np.minimum(1, abs(own)))[1] == ""
        off, lost = own.copy(), own.copy()
        off[3] += 3 * TOLERANCE * max(1.0, float(np.max(np.abs(own[3]))))
        lost[5] = np.nan
        for served in (off, lost, own[:-1]):
            assert target.apart(own, served)[1]

    def test_13_each_label_is_of_one_class(self, target: Target, sample: Sample) -> None:
        """And no class is lost where it has no label."""
        labels = target.encoded(_with_null(sample.labels))
        marked = target.marked(labels)
        assert all(rows.dtype == np.bool_ for rows in marked)
        assert np.array_equal(np.sum(marked, axis=0), there(labels))
        assert len(target.marked(labels[:1])) == len(marked)

    def test_14_labels_are_described_by_numbers(self, target: Target, sample: Sample) -> None:
        """They stand beside what pins a training set."""
        told = target.described(target.encoded(sample.labels))
        assert told
        assert all(isinstance(value, int | float) for value in told.values())
        assert not _PINNED & set(told)
        json.dumps(told)

    def test_14_drawings_are_plain_data(self, target: Target, sample: Sample) -> None:
        """The ledger gives them back as they were: of all rows, of one, and of none."""
        rows = _rows(target, sample, sample.good)
        rows = rows.where(there(rows.labels))
        start = datetime(2026, 1, 1, tzinfo=UTC)
        about = [About(f"row {n}", start + timedelta(days=n // 90)) for n in range(len(rows))]
        for count in (len(rows), 1, 0):
            drawings = list(target.drawings(_first(rows, count), about[:count]))
            assert drawing.from_json(drawing.to_json(drawings)) == drawings
            assert all(each.title for each in drawings)

    def test_15_a_baseline_is_measured_as_a_model_is(self, target: Target, sample: Sample) -> None:
        """It is one raw prediction, whatever the row."""
        labels = target.encoded(sample.labels)
        baseline = target.baseline(labels)
        if baseline is None:
            return
        assert baseline.shape == (target.width,)
        raw = np.tile(baseline, (len(labels), 1))
        found = target.rows(labels, raw[:, 0] if target.width == 1 else raw)
        assert target.metrics[target.searched].value(found) is not None

    def test_15_an_explanation_is_of_one_of_a_row_s_numbers(self, target: Target, sample: Sample) -> None:
        """The same as if the row were alone."""
        raw = target.predictions(sample.good, sample.x)
        found = target.explained(raw)
        assert found.shape == (len(raw),)
        assert ((found >= 0) & (found < target.width)).all()
        assert np.array_equal(np.concatenate([target.explained(raw[n : n + 1]) for n in range(9)]), found[:9])


@cache
def _imported(module: str) -> str:
    """Name the libraries that importing a module brings, in a fresh interpreter."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    look = _LOOK.format(module, LIBRARIES)
    done = subprocess.run([sys.executable, "-c", look], env=variables, text=True, capture_output=True, check=False)
    return done.stdout.strip() if not done.returncode else done.stderr


def _one_by_one(of: Callable[[Floats], Any], raw: Floats) -> Any:
    return np.concatenate([of(raw[n : n + 1]) for n in range(9)])


def _rows(target: Target, sample: Sample, of: Any) -> Predictions:
    raw = of if isinstance(of, np.ndarray) else target.predictions(of, sample.x)
    return target.rows(target.encoded(sample.labels), raw)


def _first(rows: Predictions, count: int) -> Predictions:
    return Predictions(rows.labels[:count], rows.raw[:count], rows.decided[:count])


def _compared(target: Target, rows: Predictions) -> Iterator[tuple[str, Any]]:
    for name, metric in target.metrics.items():
        if metric.is_compared and metric.losses(rows) is not None:
            yield name, metric


def _sign(metric: Metric) -> int:
    return 1 if metric.better == "higher" else -1


def _with_null(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([*labels.chunks, pa.nulls(1, labels.type)])


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]
