"""Direct multi-step forecaster: LightGBM quantile models across all series, for a team's ``fit``.

Numbers are told as multiples of a series' own level, so that large and small series teach each other. A step knows how
far away it is, and what came at the same place of the season before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.platform_core.specs.examples import Examples, Params, Report
    from loopline.platform_core.targets import Forecast

    Floats = NDArray[np.float64]

ROUNDS, PATIENCE = 300, 15
"""Trees of a quantile at most, and how many the validation rows wait for a better one."""
LEAST_BETTER = 1e-5
SAME: Mapping[str, Any] = {"seed": 7, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}


@dataclass(frozen=True)
class DirectForecast:
    """Fitted boosters, one a quantile; ``level`` and ``seasons`` are columns of ``x`` (module docstring)."""

    boosters: Sequence[Any]
    horizon: int
    level: int
    seasons: Sequence[Sequence[int]]

    def predict(self, x: Floats) -> Floats:
        """Return (rows, horizon * quantiles), step after step."""
        import numpy as np

        long, levels = steps(x, self.horizon, self.level, self.seasons)
        told = [booster.predict(long, num_threads=1) * levels for booster in self.boosters]
        return np.asarray(np.stack(told, axis=1).reshape(len(x), -1))


def direct_forecast(  # noqa: PLR0913 - what a fit is given, and where it looks
    target: Forecast,
    train: Examples,
    valid: Examples,
    params: Params,
    report: Report,
    *,
    level: str,
    by_season: Sequence[str] = (),
    most_cells: int = 80_000,
) -> DirectForecast:
    """Fit LightGBM to a forecast's label, for a team's ``fit`` to return; the same rows give the same trees.

    ``level`` names the feature that says how large a series is, such as its mean of four weeks. ``by_season`` are
    beginnings of names: of "day" there are features day_1, the newest, to day_7 where a season has 7 steps. Of larger
    training parts so many ``most_cells`` (a row's step) are drawn. The pinball loss is reported, less it from 0.

    Raises:
        InvalidSpec: a feature is not there.
    """
    import lightgbm

    at = _place(train, level)
    seasons = [[_place(train, f"{name}_{n + 1}") for n in range(target.season)] for name in by_season]
    learnt, checked = (_cells(target, part, at, seasons, most_cells) for part in (train, valid))
    boosters = []
    for quantile in target.quantiles:
        said = {"objective": "quantile", "alpha": quantile, **SAME, **params}
        data = lightgbm.Dataset(*learnt, free_raw_data=False)
        stop = lightgbm.early_stopping(PATIENCE, min_delta=LEAST_BETTER, verbose=False)
        calls = [stop, _telling(report)] if quantile == 0.5 else [stop]  # noqa: PLR2004 - the median
        beside = [lightgbm.Dataset(*checked, reference=data, free_raw_data=False)]
        boosters.append(lightgbm.train(said, data, ROUNDS, beside, callbacks=calls))
    return DirectForecast(boosters, target.horizon, at, seasons)


def steps(x: Floats, horizon: int, level: int, seasons: Sequence[Sequence[int]]) -> tuple[Floats, Floats]:
    """Return a row for each row's step, and its level: features as they are, the step, and its seasons' multiples."""
    import numpy as np

    rows, step = np.repeat(np.arange(len(x)), horizon), np.tile(np.arange(horizon), len(x))
    levels = np.maximum(np.nan_to_num(x[:, level]), _LEAST)[rows]
    own = [np.array(places)[len(places) - 1 - step % len(places)] for places in seasons]
    before = [x[rows, places] / levels for places in own]
    return np.column_stack([x[rows], step, *before]), levels


_LEAST = 0.25
"""Level of a series of which nothing came lately."""


def _cells(
    target: Forecast, part: Examples, level: int, seasons: Sequence[Sequence[int]], most: int
) -> tuple[Floats, Floats]:
    """Return the steps that have come, with what came as a multiple of the level."""
    import numpy as np

    long, levels = steps(part.x, target.horizon, level, seasons)
    came = part.y[:, : target.horizon].ravel()
    known = np.flatnonzero(np.isfinite(came))
    if len(known) > most:
        known = np.sort(np.random.default_rng(7).choice(known, most, replace=False))
    return long[known], came[known] / levels[known]


def _place(part: Examples, name: str) -> int:
    if name not in part.features:
        raise InvalidSpec(f"a forecast looks for the feature {name!r}", f"use some of {', '.join(part.features)}")
    return part.features.index(name)


def _telling(report: Report) -> Any:
    def tell(env: Any) -> None:
        if env.iteration % 10 == 9:  # noqa: PLR2004 - every tenth round
            report(env.iteration + 1, -env.evaluation_result_list[0][2])

    return tell
