"""Additivity test: whether an estimator is a sum of its columns, found by querying it, and what each adds.

A linear model is one, also behind a pipeline that fills, scales and spreads columns one by one. What was found is
held against the estimator on rows of training: only what gives the same is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.runtime.model.additive import Additive, Column

if TYPE_CHECKING:
    from loopline.platform_core.training.evaluate import Floats

_ROWS = 300
_TOLERANCE = 1e-6
_ENDS = (5, 95)
"""Percentiles of a number's values between which its slope is taken."""
Margin = Callable[["Floats"], "Floats"]


def additive(estimator: Any, sample: Floats, categories: Sequence[int]) -> Additive | None:
    """Return what an estimator's columns add, None where it is no sum of them.

    ``sample`` are rows of training, (rows, columns); ``categories`` says how many categories each column has, 0 of a
    number.
    """
    rows = sample[:: max(1, -(-len(sample) // _ROWS))]
    for margin in _margins(estimator):
        try:
            found = _probed(margin, rows, categories)
            if found is not None:
                return found
        except Exception:  # noqa: BLE001, S112 - an estimator may raise anything when it is asked odd rows
            continue
    return None


def _margins(estimator: Any) -> Iterator[Margin]:
    """Yield what may be a sum: what comes before the link."""
    if hasattr(estimator, "decision_function"):
        yield lambda x: _wide(estimator.decision_function(x))
    elif not hasattr(estimator, "predict_proba"):
        yield lambda x: _wide(estimator.predict(x))
        yield lambda x: np.log(_wide(estimator.predict(x)))


def _wide(given: Any) -> Floats:
    found = np.asarray(given, dtype=np.float64)
    return found if found.ndim > 1 else found[:, None]


def _probed(margin: Margin, rows: Floats, categories: Sequence[int]) -> Additive | None:
    """Take what each column adds from rows that differ in it alone, and hold it against the others."""
    middle = np.nan_to_num(np.nanmedian(rows, axis=0))
    middle[np.array(categories, dtype=np.int64) > 0] = 0.0
    start = margin(middle[None])[0]
    columns = [_column(margin, middle, start, rows[:, at], at, count) for at, count in enumerate(categories)]
    whole, said = np.sum([one.added(rows[:, at]) for at, one in enumerate(columns)], axis=0), margin(rows)
    if not np.allclose(start + whole, said, rtol=_TOLERANCE, atol=_TOLERANCE):
        return None
    means = [one.added(rows[:, at]).mean(axis=0) for at, one in enumerate(columns)]
    base = start + np.sum(means, axis=0)
    return Additive(base.tolist(), [_moved(one, mean) for one, mean in zip(columns, means, strict=True)])


def _column(  # noqa: PLR0913, PLR0917 - where the model is asked, and about what
    margin: Margin, middle: Floats, start: Floats, values: Floats, place: int, count: int
) -> Column:
    def at(*asked: float) -> Floats:
        rows = np.repeat(middle[None], len(asked), axis=0)
        rows[:, place] = asked
        return margin(rows) - start

    missing = _or_nothing(lambda: at(np.nan)[0], start)
    if count:
        told = at(*range(count), -1.0)
        return Column([], told[-1].tolist(), missing.tolist(), told[:-1].tolist())
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, _ENDS) if len(known) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    first, last = at(low, high)
    slope = (last - first) / (high - low)
    return Column(slope.tolist(), (first - slope * low).tolist(), missing.tolist())


def _or_nothing(asked: Callable[[], Floats], like: Floats) -> Floats:
    """Take a missing value to add nothing to a model that refuses rows with one."""
    try:
        return asked()
    except ValueError:
        return np.zeros_like(like)


def _moved(one: Column, mean: Floats) -> Column:
    """Let a column add nothing on average."""

    def less(values: list[float]) -> list[float]:
        moved: list[float] = (np.array(values) - mean).tolist()
        return moved

    return Column(one.slope, less(one.at_zero), less(one.missing), [less(values) for values in one.codes])
