"""What tests of several kinds of models do: a package's draft, and counting how often intervals hold what is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loopline.platform_core.metrics import Predictions
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
from loopline.platform_core.specs import Target


def draft(target: Target, *features: FeatureField) -> Manifest:
    """Draft a package's manifest, over three features that a request brings where none are given."""
    fields = list(features) or [FeatureField(name, "request") for name in "abc"]
    said = target.to_json()
    return Manifest("t.m", "pickle", "", fields, [], ["a"], {}, 0.5, "ts", "c", Parity(0, 0.0, ""), target=said)


def count(target: Target, truth: dict[str, float], samples: list[Predictions]) -> None:
    """Hold the intervals of all metrics against what is so: of 20 samples 18 must hold it."""
    hits = dict.fromkeys(target.metrics, 0)
    for rows in samples:
        for name, metric in target.metrics.items():
            found = metric.interval(rows)
            hits[name] += found.low <= truth[name] <= found.high
    assert all(each / len(samples) >= 0.9 for each in hits.values()), hits


def count_drawn(target: Target, drawn: Callable[..., Predictions], rows: int, *more: Any, times: int = 100) -> None:
    """Hold intervals of so many rows, drawn ``times`` times, against the values of very many."""
    random = np.random.default_rng(8)
    truth = target.values(drawn(random, 60_000, *more))
    count(target, dict(truth), [drawn(random, rows, *more) for _ in range(times)])
