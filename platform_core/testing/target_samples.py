"""Sample data of each kind of models: 300 rows of two columns, the first of which predicts the label well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from loopline.platform_core.graphs import Graph, Mean, Predict
from loopline.platform_core.specs.examples import Examples
from loopline.platform_core.targets import Binary
from loopline.platform_core.testing.fakes.estimators import Classifier, Regressor
from loopline.platform_core.testing.target import Sample

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats

ROWS = 300
CLASSES = ("bag", "lamp", "toy")
ITEMS = tuple(f"article {number:02}" for number in range(24))
POPULAR = tuple(0.4 * 0.9**number for number in range(24))
LISTED = 5
"""Items of a list that is shown."""


def binary() -> Sample:
    """Return labels 0 and 1."""
    x, random = _x()
    labels = (random.random(ROWS) < _expit(3 * x[:, 0])).astype(float)
    good, bad = Classifier(lambda x: _both(_expit(2 * x[:, 0]))), Classifier(lambda x: _both(_expit(2 * x[:, 1])))
    odd, alike = pa.chunked_array([[2.0, -1.0]]), pa.chunked_array([[1.0] * 9])
    return Sample(x, _column(labels), labels, good, bad, Regressor(lambda x: x[:, 0]), odd, alike)


def multiclass() -> Sample:
    """Return labels that are one of ``CLASSES``."""
    x, random = _x()
    codes = (_three(x, 0).cumsum(axis=1) < random.random(ROWS)[:, None]).sum(axis=1)
    labels = pa.chunked_array([[CLASSES[code] for code in codes]])
    good, bad = Classifier(lambda x: _three(x, 0)), Classifier(lambda x: _three(x, 1))
    odd, alike = pa.chunked_array([["vase", "Toy"]]), pa.chunked_array([["toy"] * 9])
    return Sample(x, labels, np.eye(3)[codes], good, bad, Regressor(lambda x: x[:, 0]), odd, alike)


def multilabel() -> Sample:
    """Return labels that are lists of some of ``CLASSES``, of some rows none."""
    x, random = _x()
    holds = random.random((ROWS, 3)) < _each(x, 0)
    labels = pa.chunked_array([[[name for name, held in zip(CLASSES, row, strict=True) if held] for row in holds]])
    good, bad = Classifier(lambda x: _each(x, 0)), Classifier(lambda x: _each(x, 1))
    odd, alike = pa.chunked_array([[["vase"], ["toy", "Toy"]]]), pa.chunked_array([[["toy"]] * 9])
    return Sample(x, labels, holds.astype(float), good, bad, Classifier(lambda x: _three(x, 0)), odd, alike)


def regression() -> Sample:
    """Return labels that are any number."""
    x, random = _x()
    labels = 30 * x[:, 0] + 5 * random.normal(size=ROWS)
    good, bad = Regressor(lambda x: 30 * x[:, 0]), Regressor(lambda x: 30 * x[:, 1])
    odd, alike = pa.chunked_array([[float("inf"), float("nan")]]), pa.chunked_array([[7.0] * 9])
    return Sample(x, _column(labels), labels, good, bad, Classifier(lambda x: _both(_expit(x[:, 0]))), odd, alike)


def count() -> Sample:
    """Return labels that are whole numbers from 0 on, of many rows 0."""
    x, random = _x()
    labels = random.poisson(np.exp(x[:, 0])).astype(float)
    good, bad = Regressor(lambda x: np.exp(x[:, 0])), Regressor(lambda x: np.exp(x[:, 1]))
    odd, alike = pa.chunked_array([[-1.0, -0.5]]), pa.chunked_array([[0.0] * 9])
    return Sample(x, _column(labels), labels, good, bad, Classifier(lambda x: _both(_expit(x[:, 0]))), odd, alike)


def graph() -> Sample:
    """Return labels 0 and 1, told by a graph of two steps and their mean."""
    plain = binary()
    train = Examples(plain.x, plain.right, ("first", "second"), {})

    def mean_of(estimator: Classifier) -> Graph:
        steps = (Predict(name, estimator, Binary()) for name in ("one", "other"))
        return Graph.of(train, *steps, Mean("both", ("one", "other")))

    right = np.column_stack([plain.right] * 3)
    return replace(plain, right=right, good=mean_of(plain.good), bad=mean_of(plain.bad), foreign=plain.good)


def ranking() -> Sample:
    """Return labels that are lists of ``ITEMS``, of which some are taken often and others by those of like taste."""
    x, random = _x()
    chances, drawn = _liked(x, 0), random.random((ROWS, len(ITEMS)))
    taken = (drawn < chances) | (drawn == drawn.min(axis=1, keepdims=True))
    labels = pa.chunked_array([[[ITEMS[place] for place in np.flatnonzero(row)[::-1]] for row in taken]])
    order = np.argsort(-(2 * taken + chances), axis=1)[:, :LISTED].astype(float)
    right = np.hstack([order, np.tile(np.arange(LISTED, 0.0, -1), (ROWS, 1))])
    good, bad = Regressor(lambda x: _liked(x, 0)), Regressor(lambda x: _liked(x, 1))
    odd, alike = pa.chunked_array([[["vase"], ["toy"]]]), pa.chunked_array([[[ITEMS[0]]] * 9])
    return Sample(x, labels, right, good, bad, Regressor(lambda x: x[:, 0]), odd, alike)


def _liked(x: Floats, at: int) -> Floats:
    tastes = np.linspace(-2, 2, len(ITEMS))
    return np.asarray(POPULAR) * _expit(3 * np.outer(x[:, at], tastes))


def forecast() -> Sample:
    """Return 3 steps, the 4 before and the scale, with a season of 2; of some rows the last step has not come."""
    x, random = _x()
    size = np.exp(x[:, :1])
    series = random.poisson(size * (6 + np.array([0, 3] * 4)[:7])).astype(float)
    came, past = series[:, 4:], series[:, :4]
    right = np.repeat(came, 3, axis=1)
    labels = pa.array(
        [
            [*row[:2], None if number % 50 == 0 else row[2], *before, 3.0]
            for number, (row, before) in enumerate(zip(came.tolist(), past.tolist(), strict=True))
        ]
    )
    good, bad = Regressor(lambda x: _path(x[:, 0])), Regressor(lambda x: _path(x[:, 1]))
    odd = pa.chunked_array([[[1.0, 2.0], [float("inf")] * 8]])
    alike = pa.chunked_array([[[float(n), 2.0, None, *[1.0] * 5] for n in range(9)]])
    return Sample(x, pa.chunked_array([labels]), right, good, bad, Regressor(lambda x: x[:, 0]), odd, alike)


def _path(size: Floats) -> Floats:
    """Return (rows, 9): three quantiles of three steps."""
    expected = np.exp(size)[:, None] * np.array([6, 9, 6])
    return np.stack([0.6 * expected, expected, 1.6 * expected], axis=2).reshape(len(size), 9)


def _x() -> tuple[Floats, np.random.Generator]:
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, 2)), random


def _column(labels: Floats) -> pa.ChunkedArray:
    return pa.chunked_array([labels])


def _expit(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


def _both(chances: Floats) -> Floats:
    return np.column_stack([1 - chances, chances])


def _three(x: Floats, at: int) -> Floats:
    odds = np.exp(np.column_stack([-2 * x[:, at], np.zeros(len(x)), 2 * x[:, at]]))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _each(x: Floats, at: int) -> Floats:
    return _expit(np.column_stack([-2 * x[:, at] - 1, 0.5 * x[:, at], 2 * x[:, at]]))
