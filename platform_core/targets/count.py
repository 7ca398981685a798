"""Count regression: labels are counts, or other numbers never below 0; the model returns the expected one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.estimation import Estimation, LossByReading
from loopline.platform_core.metrics.deviances import MeanDeviance
from loopline.platform_core.metrics.errors import Bias, MeanError
from loopline.platform_core.targets.fitted_as import made_by, numbers
from loopline.platform_core.targets.number_labels import number_labels
from loopline.platform_core.targets.target import Learns, Output, Target

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Floats, Metric

_LEAST = 0.0


@dataclass(frozen=True)
class Count(Target):
    """How many ``unit`` come of a row, expected; what a model returns below 0 counts as 0.

    ``power`` is that of ``tweedie_deviance``: 1 is Poisson's, towards 2 the spread grows faster than the mean, as where
    orders are large and rare. ``largest_error`` is as in ``Regression``. With ``exposure``, a feature, a row's count is
    of so many units: ``fit`` returns ``specs.per_exposure`` of a rate, and metrics are of the counts.
    """

    kind: ClassVar[str] = "count"
    searched: ClassVar[str] = "poisson_deviance"
    of_segments: ClassVar[tuple[str, ...]] = ("mae", "bias")
    of_life: ClassVar[tuple[str, ...]] = ("poisson_deviance", "mae")
    decides: ClassVar[bool] = False
    least: ClassVar[float | None] = _LEAST
    bands: ClassVar[int] = 10
    learns: ClassVar[Learns] = "counts"
    estimation: ClassVar[Estimation | None] = LossByReading(("poisson_deviance", "mae"))

    unit: str = ""
    power: float = 1.5
    largest_error: float | None = None
    exposure: str = ""

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return deviances, and errors in the label's unit."""
        absolute = MeanError("mae", unit=self.unit, most=self.largest_error, most_by="largest_error")
        deviances = MeanDeviance("poisson_deviance"), MeanDeviance("tweedie_deviance", power=self.power, followed=False)
        return {one.name: one for one in (*deviances, absolute, Bias("bias", unit=self.unit))}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the expected number."""
        return (Output("value", "FP64"),)

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse a power of no family that has zeros, and an error that is none."""
        if not 1 <= self.power < 2:  # noqa: PLR2004 - from 2 on nothing is ever 0
            yield "power", f"{self.power} is no power of numbers that may be 0", "write a number from 1 to below 2"
        if self.largest_error is not None and not self.largest_error > 0:
            yield "largest_error", f"{self.largest_error} is no error", "write a number above 0, in the label's unit"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse what is below 0 or without an end."""
        from pyarrow import compute

        there, told = number_labels(labels)
        good = compute.and_(compute.is_finite(there), compute.greater_equal(there, 0))
        odd = there.filter(compute.invert(good))
        return f"label {odd[0]} in {len(odd)} rows: return finite numbers from 0 on, or null" if len(odd) else told

    def shortage(self, labels: Floats) -> str:
        """Ask for something that came, and labels that differ."""
        import numpy as np

        if len(np.unique(labels[np.isfinite(labels)])) > 1:
            return ""
        return f"{len(labels)} rows of one count: it needs counts that differ"

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return what it predicts; with an exposure, of so many units."""
        if self.exposure != getattr(estimator, "exposure", ""):
            by = getattr(estimator, "exposure", "") or "nothing"
            wanted = f"Count(exposure={self.exposure!r})"
            raise InvalidSpec(
                f"'fit' returned a {made_by(estimator)} that scales by {by!r}: the model's target is {wanted}",
                f"return specs.per_exposure(rate, train, {self.exposure!r})"
                if self.exposure
                else "return the rate alone, or declare Model(target=Count(exposure=...))",
            )
        return self.served(numbers(estimator, x, "Count, a number from 0 on"))

    def served(self, given: Floats) -> Floats:
        """Return the only number of a row, 0 at least."""
        expected: Floats = (given if given.ndim == 1 else given[:, 0]).clip(_LEAST)
        return expected

    def decided(self, raw: Floats) -> Floats:
        """Return the numbers themselves: nothing is decided."""
        return raw

    def answer(self, raw: Sequence[float]) -> Mapping[str, list[Any]]:
        """Return the numbers."""
        return {"value": raw}  # type: ignore[dict-item]

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Return the mean, the largest, and the share of rows of which nothing came."""
        return {"mean": float(labels.mean()), "largest": float(labels.max()), "none": float((labels == 0).mean())}
