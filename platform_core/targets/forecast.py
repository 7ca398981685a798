"""Forecasting: labels are a series' values over a horizon, the model returns quantiles of each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.estimation import Estimation, LossOfFirstSteps
from loopline.platform_core.metrics.forecasts import (
    Coverage,
    ForecastBias,
    IntervalWidth,
    PinballLoss,
    ScaledError,
    Steps,
    WeightedError,
)
from loopline.platform_core.targets import series_drawings, series_labels
from loopline.platform_core.targets.fitted_as import made_by
from loopline.platform_core.targets.target import Output, Target

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing

_MIDDLE = 0.5


@dataclass(frozen=True)
class Forecast(Target):
    """What comes of a series at each of the next ``horizon`` steps, told by ``quantiles`` around the median.

    A label is a list of ``horizon`` + ``history`` + 1 numbers: those that came, null or NaN for those not known yet;
    the last ones before, oldest first; and by how much the series missed itself a ``season`` earlier, on average over
    all its past, the denominator of ``mase``. ``known_at`` is when the last that came is known; a label function gives
    rows before that too, as far as they have come. ``fit`` is given all of it as ``y`` (rows, numbers).

    A model returns ``horizon`` times as many numbers as there are quantiles, step after step; they are put in order,
    so that quantiles never cross, and ``from_zero`` what is below 0 counts as 0. A step takes ``step_days``.
    ``levels`` name segment columns of the labels by which series add up. ``largest_scaled`` is what a row's ``mase``
    counts as at most where versions are compared row by row.
    """

    kind: ClassVar[str] = "forecast"
    searched: ClassVar[str] = "wape"
    of_segments: ClassVar[tuple[str, ...]] = ("wape", "mase")
    of_life: ClassVar[tuple[str, ...]] = ("wape", "mase", "coverage")
    decides: ClassVar[bool] = False
    estimation: ClassVar[Estimation | None] = LossOfFirstSteps("wape")

    horizon: int = 14
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    season: int = 7
    history: int = 28
    unit: str = ""
    from_zero: bool = True
    step_days: float = 1.0
    levels: tuple[str, ...] = ()
    largest_scaled: float = 5.0

    def __post_init__(self) -> None:
        """Take lists as tuples, and one level's name as the only one."""
        levels = (self.levels,) if isinstance(self.levels, str) else self.levels
        object.__setattr__(self, "levels", tuple(levels))
        object.__setattr__(self, "quantiles", tuple(self.quantiles))

    @cached_property
    def steps(self) -> Steps:
        """Return how labels and raw predictions are laid out."""
        return Steps(self.horizon, self.season, self.quantiles)

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return errors, as shares and beside the series' own past, and what intervals are worth."""
        steps, unit = self.steps, self.unit
        every = (
            WeightedError("wape", steps=steps),
            ScaledError("mase", steps=steps, most=self.largest_scaled, most_by="largest_scaled"),
            PinballLoss("pinball", unit=unit, steps=steps),
            ForecastBias("bias", unit=unit, steps=steps),
            Coverage("coverage", steps=steps),
            IntervalWidth("interval_width", unit=unit, steps=steps),
        )
        return {one.name: one for one in every}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the paths of the median and of both ends, and the sum of the medians."""
        paths = [Output(name, "FP64", self.horizon) for name in ("expected", "lower", "upper")]
        return (*paths, Output("total", "FP64"))

    @property
    def width(self) -> int:
        """Return how many numbers a row's raw prediction has."""
        return self.horizon * len(self.quantiles)

    @property
    def label_width(self) -> int:
        """Return how many numbers a label has."""
        return self.horizon + self.history + 1

    @property
    def ahead_days(self) -> float:
        """Return how long the horizon is."""
        return self.horizon * self.step_days

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse steps that are none, and quantiles without a middle."""
        quantiles, count = self.quantiles, len(self.quantiles)
        if self.horizon < 2:  # noqa: PLR2004 - one step is a number
            yield "horizon", f"{self.horizon} steps are no path", "write 2 or more, or declare Regression()"
        rising = quantiles == tuple(sorted(set(quantiles))) and all(0 < one < 1 for one in quantiles)
        if not rising or count < 3 or count % 2 == 0 or quantiles[count // 2] != _MIDDLE:  # noqa: PLR2004
            yield "quantiles", f"{quantiles} do not rise around 0.5", "write such as (0.1, 0.5, 0.9)"
        if self.season < 1:
            yield "season", f"{self.season} steps are no season", "write after how many steps it comes again, 7 of days"
        if self.history < self.season:
            yield "history", f"{self.history} steps hold no season of {self.season}", f"write {4 * self.season}"
        if not self.step_days > 0:
            yield "step_days", f"{self.step_days} days are no step", "write 1 for days, 7 for weeks"
        if not self.largest_scaled > 0:
            yield "largest_scaled", f"{self.largest_scaled} is no error", "write a number above 0"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is no list of so many numbers."""
        wanted = f"lists of {self.label_width} numbers, the {self.horizon} that came, the {self.history} before "
        wanted += "them and the series' scale"
        below = ", none below 0, or declare Forecast(from_zero=False)" if self.from_zero else ""
        return series_labels.trouble(labels, self.label_width, f"{wanted}{below}", from_zero=self.from_zero)

    def encoded(self, labels: pa.ChunkedArray) -> Floats:
        """Return (rows, horizon + history) numbers."""
        return series_labels.to_numbers(labels, self.label_width)

    def shortage(self, labels: Floats) -> str:
        """Ask for rows of which everything has come, and not the same of all."""
        import numpy as np

        whole = labels[self.steps.whole(labels)][:, : self.horizon]
        if len(np.unique(whole.sum(axis=1))) > 1:
            return ""
        return f"{len(whole)} rows of which all {self.horizon} steps have come, all alike: it needs some that differ"

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return the quantiles of each step."""
        import numpy as np

        if hasattr(estimator, "predict_proba"):
            raise self._refused(estimator, "is a classifier")
        given = np.asarray(estimator.predict(x), dtype=np.float64)
        if given.size != len(x) * self.width or given.shape[:1] != (len(x),):
            raise self._refused(estimator, f"predicts numbers of shape {given.shape} for {len(x)} rows")
        return self.served(given.reshape(len(x), self.width))

    def served(self, given: Floats) -> Floats:
        """Return quantiles in their order, 0 at least where that is so."""
        import numpy as np

        told = np.sort(self.steps.told(given.reshape(-1, self.width)), axis=2)
        return (np.maximum(told, 0.0) if self.from_zero else told).reshape(-1, self.width)

    def reading(self, raw: Floats) -> Floats:
        """Return how much is expected over the horizon: the sum of the medians."""
        total: Floats = self.steps.median(raw).sum(axis=1)
        return total

    def decided(self, raw: Floats) -> Floats:
        """Return the reading: nothing is decided."""
        return self.reading(raw)

    def answer(self, raw: Sequence[Any]) -> Mapping[str, list[Any]]:
        """Return paths, and what is expected in all."""
        count = len(self.quantiles)
        expected = [row[count // 2 :: count] for row in raw]
        return {
            "expected": expected,
            "lower": [row[::count] for row in raw],
            "upper": [row[count - 1 :: count] for row in raw],
            "total": [float(sum(path)) for path in expected],
        }

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Return the mean of a step, the share of steps of which nothing came, and how many rows are whole."""
        import numpy as np

        came = labels[:, : self.horizon]
        known = came[np.isfinite(came)]
        mean, none = (float(known.mean()), float((known == 0).mean())) if len(known) else (0.0, 0.0)
        return {"mean": mean, "none": none, "whole": int(self.steps.whole(labels).sum())}

    def naive(self, labels: Floats) -> Floats:
        """Return the raw predictions of who repeats each row's last season: the baseline."""
        import numpy as np

        return np.repeat(self.steps.naive(labels), len(self.quantiles), axis=1)

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:
        """Return fans beside what came, and errors beside the naive forecast's: in all, by origin and by level."""
        return series_drawings.drawn(self, rows, about)

    def _refused(self, estimator: Any, why: str) -> InvalidSpec:
        quantiles = len(self.quantiles)
        return InvalidSpec(
            f"'fit' returned a {made_by(estimator)}, which {why}: the model's target is Forecast, {self.horizon} steps "
            f"of {quantiles} quantiles",
            f"return one that predicts (rows, {self.width}) numbers, such as specs.direct_forecast, or declare another "
            "target, such as Model(target=Regression())",
        )
