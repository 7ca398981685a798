"""How a column moved, in a few words for whoever is woken by it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loopline.platform_core.monitor.columns import CategoryColumn, Column, EmbeddingColumn, NumericColumn, TextColumn
from loopline.platform_core.monitor.tally import CategoryTally, EmbeddingTally, NumericTally, Tally, TextTally

NAMED = 3
"""Categories and words whose shares are told."""
HARDLY = 0.05
"""A mean that moved by less of a deviation did not move; then the spread is told."""
WORTH = 0.01
"""A share that moved by less is not told."""


def told(column: Column, window: Tally) -> str:
    """Say how a column moved; empty where the window has no values of it."""
    if not window.rows or not column.rows:
        return ""
    match column, window:
        case NumericColumn(), NumericTally():
            return _numeric(column, window)
        case CategoryColumn(), CategoryTally():
            return _category(column, window)
        case TextColumn(), TextTally():
            return _text(column, window)
        case EmbeddingColumn(), EmbeddingTally():
            return _embedding(column, window)
    return ""


def mean(column: NumericColumn) -> float:
    """Return a profile's mean; from its edges where a former release wrote it."""
    if column.mean is not None:
        return column.mean
    edges, at, below = (np.asarray(part) for part in (column.edges, column.at, column.below))
    atoms, lines = (at - below) @ edges, (below[1:] - at[:-1]) @ (edges[1:] + edges[:-1]) / 2
    return float(atoms + lines)


def _numeric(column: NumericColumn, window: NumericTally) -> str:
    before, after = mean(column), window.added / window.rows
    if abs(after - before) > HARDLY * column.std:
        return f"mean {before:.4g} → {after:.4g}"
    held = np.asarray(window.at) / window.rows
    sides = (_tenths(column, np.asarray(column.at)), _tenths(column, held))
    return "80 % within " + " → ".join(f"{low:.4g}..{high:.4g}" for low, high in sides)


def _tenths(column: NumericColumn, shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    places = np.minimum(np.searchsorted(shares, [0.1, 0.9]), len(column.edges) - 1)
    return [column.edges[place] for place in places]


def _category(column: CategoryColumn, window: CategoryTally) -> str:
    told_of = _shares(column.counts, column.rows, window.counts, window.rows)
    if window.unseen >= WORTH * window.rows:
        names = ", ".join(list(window.new)[:NAMED])
        told_of.append(f"unseen 0% → {window.unseen / window.rows:.0%} ({names})")
    return ", ".join(told_of)


def _text(column: TextColumn, window: TextTally) -> str:
    both = column.top | dict.fromkeys(window.new, 0)
    seen = window.top | window.new
    told_of = [f"'{one}" for one in _shares(both, column.rows, seen, window.rows, "' in ")]
    before, after = mean(column.words), window.words.added / window.rows
    return ", ".join([f"{before:.3g} → {after:.3g} words a text", *told_of])


def _shares(
    counts: Mapping[str, int], rows: int, others: Mapping[str, int], other_rows: int, between: str = " "
) -> list[str]:
    """Tell the shares that moved most, by at least ``WORTH``."""
    sides = {name: (count / rows, others.get(name, 0) / other_rows) for name, count in counts.items()}
    most = sorted(sides, key=lambda name: -abs(sides[name][1] - sides[name][0]))[:NAMED]
    worth = [name for name in most if abs(sides[name][1] - sides[name][0]) >= WORTH]
    return [f"{name}{between}{sides[name][0]:.0%} → {sides[name][1]:.0%}" for name in worth]


def _embedding(column: EmbeddingColumn, window: EmbeddingTally) -> str:
    moved = (np.asarray(window.sums) / window.rows - column.mean) / column.std
    lengths = f"length {mean(column.norms):.4g} → {window.norms.added / window.rows:.4g}"
    far = int(np.argmax(np.abs(moved)))
    typical = float(np.sqrt(np.mean(moved**2)))
    return f"means of coordinates moved by {typical:.2f} deviations, most {far} by {moved[far]:+.2f}; {lengths}"
