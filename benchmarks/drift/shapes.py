"""Generated columns, quiet and moved, of every shape that comes to mind; the same number gives the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.monitor.drift.columns.category import TOP

NUMERIC, CATEGORICAL = 240, 160
"""How many shapes ``numeric`` and ``categorical`` are asked for."""
FAMILIES = 10


@dataclass(frozen=True)
class Shape:
    """A column before and after; values of a numeric one are finite."""

    name: str
    reference: pa.Array
    window: pa.Array


def numeric(number: int) -> Shape:
    """Make a column of numbers whose window is moved by up to half a deviation, stretched, or neither."""
    random = np.random.default_rng([1, number])
    rows = int(random.choice([2_000, 10_000, 30_000])), int(random.choice([100, 200, 500, 1_000, 5_000]))
    before, after = (_draw(np.random.default_rng([2, number, side]), number % FAMILIES, rows[side]) for side in (0, 1))
    moved = random.choice([0.0, 0.05, 0.1, 0.15, 0.25, 0.5]) * before.std()
    stretched = random.choice([1.0, 1.0, 1.0, 1.1, 1.3])
    middle = np.median(before)
    window = (after - middle) * stretched + middle + moved
    return Shape(f"numeric {number}", pa.array(before), pa.array(window))


def categorical(number: int) -> Shape:
    """Make a column of 2 to 500 categories whose window mixes in other shares, or does not."""
    random = np.random.default_rng([3, number])
    levels = (2, 3, 5, 10, 20, 50, 50, 500)[number % 8]
    rows = int(random.choice([2_000, 10_000, 30_000])), int(random.choice([100, 200, 500, 1_000, 5_000]))
    shares = random.dirichlet(np.full(levels, 1.0))
    mixed = random.choice([0.0, 0.1, 0.2, 0.4]) * random.random()
    others = (1 - mixed) * shares + mixed * random.dirichlet(np.full(levels, 1.0))
    names = np.array([f"c{level}" for level in range(levels)])
    sides = [random.choice(names, size, p=p) for size, p in zip(rows, (shares, others), strict=True)]
    return Shape(f"categorical {number}, {levels} levels", *(pa.array(side.tolist()) for side in sides))


def folded(shape: Shape) -> Shape:
    """Put one name in the place of all but the reference's most frequent ``TOP``, as a profile does."""
    values, counts = np.unique(shape.reference.to_numpy(zero_copy_only=False), return_counts=True)
    named = set(values[np.lexsort((values, -counts))][:TOP])
    both = ([v if v in named else "(other)" for v in side.to_pylist()] for side in (shape.reference, shape.window))
    return Shape(shape.name, *(pa.array(side) for side in both))


def _draw(random: np.random.Generator, family: int, rows: int) -> Floats:
    drawn = (
        lambda: random.normal(size=rows),
        lambda: random.uniform(-1, 4, rows),
        lambda: random.lognormal(0, 1, rows),
        lambda: random.pareto(3, rows),
        lambda: random.poisson(4, rows).astype(float),
        lambda: random.exponential(size=rows) * (random.random(rows) > 0.6),
        lambda: np.where(random.random(rows) < 0.3, random.normal(size=rows), random.normal(7, 1, rows)),
        lambda: random.standard_t(4, rows),
        lambda: random.integers(0, 3, rows).astype(float),
        lambda: 1e9 + random.gamma(2, 1e4, rows).round(),
    )
    return np.asarray(drawn[family](), dtype=np.float64)
