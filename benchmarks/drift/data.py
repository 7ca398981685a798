"""Twenty columns of rows for both sides: fifteen of numbers, five of categories; some of them move."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

LEVELS = (2, 5, 10, 50, 500)
MOVED = {"n2": 0.3, "n5": 0.15, "n9": 0.5, "n14": 0.08}
"""Columns of numbers that move, and by how many deviations."""
MANY = "c500"
"""The column of more categories than a profile counts by name."""


def table(rows: int, seed: int, *, moved: bool = False) -> pa.Table:
    """Draw rows: normal, skewed, heavy, counted and mostly zero numbers, and categories."""
    random = np.random.default_rng(seed)
    drawn: dict[str, object] = {}
    for number in range(15):
        values = _numbers(random, number % 5, rows)
        shift = MOVED.get(f"n{number}", 0.0) if moved else 0.0
        drawn[f"n{number}"] = values + shift * values.std()
    for levels in LEVELS:
        shares = np.random.default_rng(levels).dirichlet(np.full(levels, 2.0))
        if moved and levels == LEVELS[2]:
            shares = 0.4 * shares + 0.6 * shares[::-1]
        codes = random.choice(levels, rows, p=shares).astype(np.int32)
        names = pa.array([f"v{level}" for level in range(levels)])
        drawn[f"c{levels}"] = pa.DictionaryArray.from_arrays(pa.array(codes), names).cast(pa.string())
    return pa.table(drawn)


def _numbers(random: np.random.Generator, family: int, rows: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if family == 0:
        return random.normal(size=rows)
    if family == 1:
        return random.lognormal(0, 1, rows)
    if family == 2:
        return random.gamma(2, 5, rows)
    if family == 3:
        return random.poisson(6, rows).astype(float)
    return random.exponential(size=rows) * (random.random(rows) > 0.5)
