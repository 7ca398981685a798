"""Rows as a shop's model is asked: prices and quantities, days, countries, thousands of articles, remarks, vectors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from loopline.platform_core.monitor.drift.profile import Profile, build_profile

REFERENCE = 20_000
ARTICLES, COUNTRIES, WORDS, DIMENSIONS = 3_000, 38, 1_500, 16
COLUMN, SKEWED = "lead", "price"
"""Columns of numbers that are moved to see what is found: a normal one and a skewed one."""


def rows(random: np.random.Generator, size: int, *, together: float = 0.8) -> pa.Table:
    """Draw rows; ``together`` is the correlation of ``price`` with ``lead``, and ``score`` depends on both."""
    lead, other = random.normal(size=size), random.normal(size=size)
    price = np.exp(together * lead + np.sqrt(1 - together**2) * other)
    quantity = 1 + random.negative_binomial(1, 0.15, size)
    days = np.where(random.random(size) < 0.2, np.nan, random.exponential(30, size))
    return pa.table(
        {
            "lead": lead,
            "price": price,
            "quantity": quantity.astype(float),
            "total": price * quantity,
            "days_since": days,
            "orders_before": random.poisson(2, size).astype(float),
            "returns": (random.random(size) < 0.05).astype(float),
            "hour": np.clip(random.normal(13, 3, size), 6, 20).round(),
            "weekday": _chosen(random, 7, size),
            "country": _chosen(random, COUNTRIES, size),
            "article": _chosen(random, ARTICLES, size),
            "remark": _texts(random, size),
            "meaning": (random.normal(size=(size, DIMENSIONS)) @ _mixing()).tolist(),
            "score": 1 / (1 + np.exp(-lead - random.normal(size=size))),
        }
    )


def reference(number: int) -> Profile:
    """Profile a training set; each number has its own."""
    table = rows(np.random.default_rng([number, 0]), REFERENCE)
    features = [name for name in table.column_names if name != "score"]
    return build_profile(table, features, np.asarray(table.column("score").to_numpy()), seed=number)


@lru_cache
def _shares(levels: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = 1 / np.arange(1, levels + 1)
    return np.asarray(weights / weights.sum())


@lru_cache
def _mixing() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(9).normal(size=(DIMENSIONS, DIMENSIONS)) / 4


def _chosen(random: np.random.Generator, levels: int, size: int) -> pa.Array:
    codes = random.choice(levels, size, p=_shares(levels)).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array([f"v{n}" for n in range(levels)])).cast(pa.string())


def _texts(random: np.random.Generator, size: int) -> list[str]:
    lengths = 2 + random.poisson(7, size)
    drawn = [f"word{n}" for n in random.choice(WORDS, lengths.sum(), p=_shares(WORDS)).tolist()]
    ends = lengths.cumsum().tolist()
    return [" ".join(drawn[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
