"""Joint drift test of all features (classifier two-sample test): tells a window's rows from the training set's.

It sees what no single column shows: two features that used to rise together and no longer do. Its inputs are the
features, each on a normal's scale by its rank in the profile, their squares and their products. In each fold it takes
the few that differ most and adds them up; the fold's other rows are scored. How far chance gets is found by giving the
same rows the same labels in random order. Source: Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.drift.columns.base import Rows
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.values import is_answer

LEAST_AREA = 0.55
"""An area under the curve below it is no drift, however many rows prove it."""
REFERENCE_ROWS, WINDOW_ROWS = 3_000, 1_500
"""Rows of each side that are looked at."""
HALF = 0.5
"""Area of a classifier that knows nothing."""
FEWEST_ROWS = 50
"""Rows a side below which a classifier learns nothing."""
INPUTS = 40
"""Inputs before squares and products; of more, so many are taken at random."""
RARE = 0.02
"""A missing value that is rarer (or its absence) is no input."""
BEST = 5
"""Inputs, squares and products that a fold's classifier adds up."""
FOLDS = 4
ORDERS = 100
"""Random orders of the labels that tell what chance reaches."""

SCORED_ROWS = 20_000
"""Rows of the training set that its blocks are told by."""

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Joint:
    """Area under the curve, what it must reach to be drift, and the input or product that tells most."""

    area: float
    threshold: float
    tells: str


def judge(
    profile: Profile, window: pa.Table, chance: float, without: Collection[str] = (), seed: int = 0
) -> Joint | None:
    """Hold a window's rows (columns as in ``profile.sample``) against the sample; None where there are too few.

    Columns of which it is known that they moved are left out (``without``), so that what is found comes on top. A quiet
    window reaches the threshold with ``chance``. The same rows and ``seed`` give the same answer.
    """
    random = np.random.default_rng(seed)
    names = _inputs(profile, without, random)
    sides = [_some(table, most, random) for table, most in ((profile.sample, REFERENCE_ROWS), (window, WINDOW_ROWS))]
    if not names or min(side.num_rows for side in sides) < FEWEST_ROWS:
        return None
    encoded = np.concatenate(
        [
            np.stack([profile.columns[name].encoded(side.column(name), what) for name, what in names], axis=1)
            for side in sides
        ]
    )
    labels = np.repeat(np.array([0, 1], np.float32), [side.num_rows for side in sides])
    orders = np.stack([labels, *(random.permutation(labels) for _ in range(ORDERS))], axis=1)
    products, pairs = _products(encoded.astype(np.float32))
    areas = _areas(products, orders, random.integers(FOLDS, size=len(labels)))
    null = areas[1:]
    reach = float(null.mean() + NormalDist().inv_cdf(1 - chance) * null.std(ddof=1))
    return Joint(
        float(areas[0]), max(LEAST_AREA, reach), _tells(products, labels, pairs, [_called(name) for name in names])
    )


def scorer(profile: Profile, table: pa.Table, seed: int = 0) -> Callable[[Rows], tuple[int, list[float]]] | None:
    """Return what tells sets of the training set's own rows from others: an area beyond ``HALF``; None without columns.

    At most ``SCORED_ROWS`` of the table's rows stand for all.
    """
    random = np.random.default_rng(seed)
    names = _inputs(profile, (), random)
    if not names:
        return None
    chosen = np.sort(random.permutation(table.num_rows)[:SCORED_ROWS])
    place = np.full(table.num_rows, -1)
    place[chosen] = np.arange(len(chosen))
    rows = table.take(pa.array(chosen))
    encoded = np.stack([profile.columns[name].encoded(rows.column(name), what) for name, what in names], axis=1)
    others = random.permutation(len(chosen))[:WINDOW_ROWS]

    def scored(rows: Rows) -> tuple[int, list[float]]:
        window = place[rows]
        window = window[window >= 0][:WINDOW_ROWS]
        rest = others[~np.isin(others, window)]
        if min(len(window), len(rest)) < FEWEST_ROWS:
            return 0, [0.0]
        products, _ = _products(encoded[np.concatenate([rest, window])].astype(np.float32))
        labels = np.repeat(np.array([0, 1], np.float32), [len(rest), len(window)])
        folds = np.random.default_rng(seed).integers(FOLDS, size=len(labels))
        return len(window), [max(float(_areas(products, labels[:, None], folds)[0]) - HALF, 0.0)]

    return scored


def by_chance(rows: float) -> tuple[float, float]:
    """Return mean and deviation of what ``scorer`` gives where nothing tells rows apart: half of a normal's."""
    spread = math.sqrt((WINDOW_ROWS + rows + 1) / (12 * WINDOW_ROWS * max(rows, 1)))
    mean = spread / math.sqrt(2 * math.pi)
    return mean, math.sqrt(spread**2 / 2 - mean**2)


def sampled(rows: pa.Table, seed: int = 0) -> pa.Table:
    """Take as many rows as ``judge`` looks at, the same ones for the same seed."""
    return _some(rows, WINDOW_ROWS, np.random.default_rng(seed))


Input = tuple[str, str]
"""A column, and what of it: empty for its values, ``?`` for being missing, ``=x`` for being the category x."""


def _inputs(profile: Profile, without: Collection[str], random: np.random.Generator) -> list[Input]:
    found: list[Input] = []
    for name, column in profile.columns.items():
        if is_answer(name) or name in without:  # rows that a model has learnt from have none
            continue
        found += [(name, what) for what in column.inputs()]
        if RARE < column.missing_share < 1 - RARE:
            found.append((name, "?"))
    chosen = random.permutation(len(found))[:INPUTS]
    return [found[place] for place in sorted(chosen)]


def _some(table: pa.Table, most: int, random: np.random.Generator) -> pa.Table:
    return table.take(np.sort(random.permutation(table.num_rows)[:most]))


def _products(inputs: Singles) -> tuple[Singles, list[tuple[int, ...]]]:
    """Return inputs, squares and products, standardized over both sides, and which inputs each is made of."""
    count = inputs.shape[1]
    left, right = np.triu_indices(count)
    inputs = inputs - inputs.mean(axis=0)
    both = np.concatenate([inputs, inputs[:, left] * inputs[:, right]], axis=1)
    spread = both.std(axis=0)
    pairs: list[tuple[int, ...]] = [(place,) for place in range(count)]
    pairs += zip(left.tolist(), right.tolist(), strict=True)
    return (both - both.mean(axis=0)) / np.where(spread > 1e-6, spread, 1), pairs  # noqa: PLR2004 - a constant


def _areas(products: Singles, orders: Singles, folds: NDArray[np.int64]) -> Floats:
    """Return the cross-fitted area under the curve of each order of the labels."""
    parts = [folds == fold for fold in range(FOLDS)]
    sums = np.stack([products[part].T @ orders[part] for part in parts])
    ones = np.stack([orders[part].sum(axis=0) for part in parts])
    whole = np.stack([products[part].sum(axis=0) for part in parts])[:, :, None]
    areas = np.zeros(orders.shape[1])
    for fold, part in enumerate(parts):
        learnt, learnt_ones = sums.sum(axis=0) - sums[fold], ones.sum(axis=0) - ones[fold]
        zeros = len(folds) - int(part.sum()) - learnt_ones
        apart = learnt / learnt_ones - (whole.sum(axis=0) - whole[fold] - learnt) / zeros
        best = np.partition(np.abs(apart), -min(BEST, len(apart)), axis=0)[-min(BEST, len(apart))]
        weights = np.where(np.abs(apart) >= best, apart, 0).astype(np.float32)
        areas += _area(products[part] @ weights, orders[part]) * part.mean()
    return areas


def _area(scores: Singles, labels: Singles) -> Floats:
    """Return the area under the curve of each column; equal scores are put in an order by chance of their place."""
    ranks = np.argsort(np.argsort(scores, axis=0), axis=0) + 1.0
    ones = labels.sum(axis=0)
    return np.asarray(((ranks * labels).sum(axis=0) - ones * (ones + 1) / 2) / (ones * (len(labels) - ones)))


def _tells(products: Singles, sides: Singles, pairs: list[tuple[int, ...]], names: list[str]) -> str:
    """Name what differs most: a feature, its spread, or the way in which two go together."""
    apart = np.abs(products[sides == 1].mean(axis=0) - products[sides == 0].mean(axis=0))
    most = pairs[int(np.argmax(apart))]
    if len(most) == 1:
        return names[most[0]]
    if most[0] == most[1]:
        return f"the spread of {names[most[0]]}"
    return f"{names[most[0]]} with {names[most[1]]}"


def _called(wanted: Input) -> str:
    name, what = wanted
    return f"{name} missing" if what == "?" else f"{name}{what}"
