"""What goes with what: each article's chance to be ordered, a sum over the articles of a customer's past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from discovery.history import ARTICLES

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.specs import Estimator, Examples, Params, Report

PLACES = {code: place for place, code in enumerate(ARTICLES)}


def past(table: pa.Table) -> Any:
    """Return float32 (rows, articles): what was ordered often and lately weighs most; a last column says who is abroad.

    The n-th of a list weighs 1 / log2(n + 1).
    """
    found = np.zeros((len(table), len(PLACES) + 1), np.float32)
    found[:, -1] = np.nan_to_num(np.asarray(table["abroad"].to_numpy(), np.float32))
    for row, codes in enumerate(table["ordered"].to_pylist()):
        for n, code in enumerate(codes or ()):
            if code in PLACES:
                found[row, PLACES[code]] = 1 / np.log2(n + 2)
    return found


def baskets(places: Any) -> Any:
    """Return float32 (rows, articles): 1 where an article was ordered."""
    found = np.zeros((len(places), len(PLACES)), np.float32)
    row, column = np.nonzero(np.isfinite(places))
    found[row, places[row, column].astype(int)] = 1
    return found


@dataclass
class Linear:
    """Scores are ``past @ weights + bias``."""

    weights: Any
    bias: Any

    def predict(self, table: pa.Table) -> Any:
        """Return (rows, articles)."""
        return (past(table) @ self.weights + self.bias).astype(np.float64)


def ridge(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:  # noqa: ARG001
    """Fit least squares, drawn towards what customers do who order again what they ordered, by ``drawn``."""
    x, y = past(train.table), baskets(train.y)
    again = float((x[:, :-1] * y).sum() / max(1.0, float((x[:, :-1] ** 2).sum())))
    prior = np.eye(*(x.shape[1], y.shape[1]), dtype=np.float32) * again
    mean, often = x.mean(axis=0), y.mean(axis=0)
    x -= mean
    rest = x.T @ (y - often - x @ prior)
    weights = prior + np.linalg.solve(x.T @ x + np.eye(x.shape[1], dtype=np.float32) * params["drawn"], rest)
    return Linear(weights, often - mean @ weights)
