"""Forecast plots: fan charts beside actuals, and errors beside a seasonal naive forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.metrics.metric import Predictions
from loopline.platform_core.targets.drawing import About, Curve, Dot, Drawing, Grid, Plot

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.targets.forecast import Forecast

FANS, ORIGINS = 4, 12
"""Series that are drawn, and origins that are told of, at most."""
_COLUMNS = ["forecast", "seasonal naive"]


def drawn(target: Forecast, rows: Predictions, about: Sequence[About]) -> list[Drawing]:
    """Draw rows of which everything has come; nothing of none."""
    import numpy as np

    whole = target.steps.whole(rows.labels)
    if not whole.any():
        return []
    kept, own = rows.where(whole), [about[place] for place in np.flatnonzero(whole).tolist()]
    naive = target.rows(kept.labels, target.naive(kept.labels))
    return [*_fans(target, kept, own), *_grids(target, kept, naive, own)]


def _fans(target: Forecast, rows: Predictions, about: Sequence[About]) -> Iterator[Plot]:
    """Draw the largest series of the newest origin."""
    newest = max(each.at for each in about)
    places = [place for place, each in enumerate(about) if each.at == newest]
    places.sort(key=lambda place: -float(target.steps.came(rows)[place].sum()))
    unit = target.unit or "number"
    for place in places[:FANS]:
        told, came = target.steps.told(rows.raw)[place].tolist(), target.steps.came(rows)[place].tolist()
        past = target.steps.past(rows.labels)[place].tolist()
        middle = len(target.quantiles) // 2
        expected = [Dot(n + 1, step[middle], step[0], step[-1]) for n, step in enumerate(told)]
        real = [Dot(n + 1 - len(past), _or_none(value)) for n, value in enumerate([*past, *came])]
        curves = [Curve("expected", expected, "dashed"), Curve("came", real)]
        ends = f"{target.quantiles[0]:.0%} to {target.quantiles[-1]:.0%}"
        yield Plot(about[place].name or "a series", "step", unit, curves, f"from {newest:%Y-%m-%d}; the band is {ends}")


def _grids(target: Forecast, rows: Predictions, naive: Predictions, about: Sequence[About]) -> Iterator[Grid]:
    sides = rows, naive
    found = [target.values(side, ("wape", "mase", "bias")) for side in sides]
    names = [name for name in found[0] if name in found[1]]
    values = [[_rounded(side[name]) for side in found] for name in names]
    note = f"{len(rows)} forecasts of {len({each.name for each in about})} series"
    yield Grid("Beside who repeats the last season", "metric", "by", names, _COLUMNS, values, note)
    yield _by_origin(target, sides, about)
    yield _by_level(target, sides, about)


def _by_origin(target: Forecast, sides: Sequence[Predictions], about: Sequence[About]) -> Grid:
    """Tell each origin apart: the newest ones, oldest first."""
    import numpy as np

    origins = sorted({each.at for each in about})[-ORIGINS:]
    table = []
    for origin in origins:
        own = np.array([each.at == origin for each in about])
        table.append([_rounded(target.values(side.where(own), ["wape"]).get("wape", 0.0)) for side in sides])
    title, note = "WAPE by origin", "the same version from day to day, none of which it learnt from"
    return Grid(title, "origin", "by", [f"{each:%Y-%m-%d}" for each in origins], _COLUMNS, table, note)


def _by_level(target: Forecast, sides: Sequence[Predictions], about: Sequence[About]) -> Grid:
    """Add series up from below, so that forecasts of all levels agree, and measure each level's sums."""
    levels: list[tuple[str, Callable[[About], object]]] = [("series", lambda each: (each.name, *each.segments.items()))]
    levels += [(name, _segment(name)) for name in target.levels]
    levels.append(("all", lambda _: None))
    table = []
    for _, group in levels:
        keys = [(each.at, group(each)) for each in about]
        table.append([_rounded(_wape(target, side, keys)) for side in sides])
    note = "means of the quantiles, added up from below, so that the levels agree"
    return Grid("WAPE by level", "level", "by", [name for name, _ in levels], _COLUMNS, table, note)


def _segment(column: str) -> Callable[[About], object]:
    return lambda each: each.segments.get(column, "")


def _wape(target: Forecast, rows: Predictions, keys: Sequence[tuple[datetime, object]]) -> float:
    """Return WAPE of sums over the rows of each key."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    places = [numbers[key] for key in keys]
    expected, came = (_summed(side, places) for side in (target.steps.mean(rows.raw), target.steps.came(rows)))
    total = float(abs(came).sum())
    return float(abs(expected - came).sum()) / total if total else 0.0


def _summed(values: Floats, places: Sequence[int]) -> Floats:
    import numpy as np

    found = np.zeros((max(places) + 1, values.shape[1]))
    np.add.at(found, np.array(places), values)
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _or_none(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN
