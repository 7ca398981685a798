"""Daily pieces of the retailer's thousand articles that are sold most often, from the order lines that its team has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from loopline.specs import Examples

Floats = NDArray[np.float64]
SERIES, HORIZON, SEASON = 1_000, 14, 7
WEEKS_LEARNT, WEEKS_CHECKED = 40, 4


def series() -> Floats:
    """Return (articles, days), the pieces sold."""
    from demand.sales import order_lines

    lines = order_lines().group_by(["StockCode", "day"]).aggregate([("Quantity", "sum")])
    codes, numbers = np.unique(np.array(lines["StockCode"].to_pylist()), return_inverse=True)
    days = lines["day"].cast("int32").to_numpy()
    found = np.zeros((len(codes), days.max() - days.min() + 1))
    found[numbers, days - days.min()] = lines["Quantity_sum"].to_numpy()
    often = np.argsort(-(found > 0).sum(axis=1), kind="stable")[:SERIES]
    return found[often]


def origins(days: int) -> Sequence[int]:
    """Return the first day that is forecast, of each of two forecasts: neither is learnt from."""
    return days - 2 * HORIZON, days - HORIZON


def features(sold: Floats, origin: int) -> Floats:
    """Return what is known of each article on the morning of a day: its newest week, its usual week, its levels."""
    week = sold[:, origin - SEASON : origin][:, ::-1]
    usual = np.mean([sold[:, origin - SEASON * (n + 1) : origin - SEASON * n] for n in range(4)], axis=0)[:, ::-1]
    levels = [sold[:, origin - days : origin].mean(axis=1) for days in (28, 91)]
    return np.column_stack([week, usual, *levels])


NAMES = (*(f"day_{n + 1}" for n in range(SEASON)), *(f"usual_{n + 1}" for n in range(SEASON)), "mean_28", "mean_91")


def examples(sold: Floats, until: int, weeks: range) -> Examples:
    """Return a row for each article and week, so many weeks before a day until which everything is known."""
    from loopline.specs import Examples

    mornings = [until - HORIZON - SEASON * week for week in weeks][::-1]
    x = np.vstack([features(sold, morning) for morning in mornings])
    y = np.vstack([sold[:, morning : morning + HORIZON] for morning in mornings])
    return Examples(x, y, NAMES, {})


def scored(sold: Floats, origin: int, quantiles: Any) -> tuple[float, float]:
    """Return MASE of the medians beside the season before, and the share of days within the outer quantiles."""
    came = sold[:, origin : origin + HORIZON]
    low, median, high = (quantiles[:, :, n] for n in range(3))
    past = sold[:, :origin]
    naive = np.abs(past[:, SEASON:] - past[:, :-SEASON]).mean(axis=1)
    error = np.abs(came - median).mean(axis=1)
    return float((error / np.maximum(naive, 1e-9)).mean()), float(((low <= came) & (came <= high)).mean())
