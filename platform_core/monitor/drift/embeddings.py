"""Random features of embeddings: kernel two-sample distance from sums of bounded size.

Source: Gretton et al., "A kernel two-sample test", 2012; Rahimi and Recht, "Random features for large-scale kernel
machines", 2007.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.foundation.distance import SMALLEST_STD, Floats, measurable

FEATURES = 256
STEP = 0.1
"""Shift of every coordinate, in deviations, that gives the distance its unit."""
PAIRS = 1_000


def is_embedding(kind: pa.DataType) -> bool:
    """Say whether a column's values are vectors of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def matrix(values: list[Any], dimensions: int) -> Floats:
    """Return vectors as rows; what has other dimensions, or a value that is not measurable, is left out."""
    kept = [value for value in values if value is not None and len(value) == dimensions]
    found = np.asarray(kept, dtype=np.float64).reshape(len(kept), dimensions)
    return np.asarray(found[measurable(found).all(axis=1)])


def scale(vectors: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of each coordinate."""
    return vectors.mean(axis=0), np.maximum(vectors.std(axis=0), SMALLEST_STD)


def bandwidth(standard: Floats) -> float:
    """Return the median distance of random pairs."""
    pairs = np.random.default_rng(0).integers(len(standard), size=(2, PAIRS))
    distances = np.linalg.norm(standard[pairs[0]] - standard[pairs[1]], axis=1)
    return float(np.median(distances)) or 1.0


def features(standard: Floats, width: float) -> Floats:
    """Return one row of random features a standardized vector; their squares sum to about one."""
    directions, phases = _directions(standard.shape[1])
    return np.asarray(np.cos(standard @ directions / width + phases) * np.sqrt(2 / FEATURES))


def unit(standard: Floats, width: float) -> float:
    """Return the factor that turns a distance of mean features into a shift of all coordinates, in deviations."""
    signs = np.random.default_rng(1).choice([-STEP, STEP], standard.shape[1])
    moved = features(standard + signs, width).mean(axis=0)
    return STEP / max(float(np.linalg.norm(moved - features(standard, width).mean(axis=0))), 1e-9)


@lru_cache(maxsize=8)
def _directions(dimensions: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(dimensions)
    return random.normal(size=(dimensions, FEATURES)), random.uniform(0, 2 * np.pi, FEATURES)
