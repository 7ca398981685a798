"""Regression: labels are numbers with a unit, the model returns the expected one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from loopline.platform_core.estimation import Estimation, LossByReading
from loopline.platform_core.metrics.errors import Bias, DeterminationCoefficient, MeanError, RootMeanSquare
from loopline.platform_core.targets.fitted_as import numbers
from loopline.platform_core.targets.number_labels import number_labels
from loopline.platform_core.targets.target import Learns, Output, Target
from loopline.platform_core.targets.usual_drawings import of_numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.metrics.metric import Floats, Metric, Predictions
    from loopline.platform_core.targets.drawing import About, Drawing

_LEAST_DIFFERENT = 2


@dataclass(frozen=True)
class Regression(Target):
    """A number in ``unit`` ("" where it has none).

    ``largest_error`` is what a row's error counts as at most where versions are compared row by row, so that no single
    row proves anything: what people of the trade call very wrong.
    """

    kind: ClassVar[str] = "regression"
    searched: ClassVar[str] = "rmse"
    of_segments: ClassVar[tuple[str, ...]] = ("mae", "bias")
    of_life: ClassVar[tuple[str, ...]] = ("mae", "rmse")
    decides: ClassVar[bool] = False
    bands: ClassVar[int] = 10
    learns: ClassVar[Learns] = "numbers"
    estimation: ClassVar[Estimation | None] = LossByReading(("mae", "rmse"))

    unit: str = ""
    largest_error: float | None = None

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """Return metrics of errors, in the label's unit but for r2."""
        absolute = MeanError("mae", unit=self.unit, most=self.largest_error, most_by="largest_error")
        squared, signed = RootMeanSquare("rmse", unit=self.unit), Bias("bias", unit=self.unit)
        every = absolute, squared, signed, DeterminationCoefficient("r2")
        return {one.name: one for one in every}

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return the number."""
        return (Output("value", "FP64"),)

    def problems(self) -> Iterable[tuple[str, str, str]]:
        """Refuse an error that is none."""
        if self.largest_error is not None and not self.largest_error > 0:
            yield "largest_error", f"{self.largest_error} is no error", "write a number above 0, in the label's unit"

    def trouble(self, labels: pa.ChunkedArray) -> str:
        """Refuse numbers without an end."""
        from pyarrow import compute

        there, told = number_labels(labels)
        odd = there.filter(compute.invert(compute.is_finite(there)))
        return f"label {odd[0]} in {len(odd)} rows: return finite numbers, or null for none" if len(odd) else told

    def shortage(self, labels: Floats) -> str:
        """Ask for labels that differ."""
        import numpy as np

        if len(np.unique(labels)) >= _LEAST_DIFFERENT:
            return ""
        return f"{len(labels)} rows of one value: it needs labels that differ"

    def predictions(self, estimator: Any, x: Floats) -> Floats:
        """Return what it predicts."""
        return self.served(numbers(estimator, x, "Regression, a number"))

    def served(self, given: Floats) -> Floats:
        """Return the only number of a row."""
        return given if given.ndim == 1 else given[:, 0]

    def decided(self, raw: Floats) -> Floats:
        """Return the numbers themselves: nothing is decided."""
        return raw

    def answer(self, raw: Sequence[float]) -> Mapping[str, list[Any]]:
        """Return the numbers."""
        return {"value": raw}  # type: ignore[dict-item]

    def bounds(self) -> Mapping[str, float | None]:
        """Return that a device answers with the number."""
        return {"value": None}

    def drawings(self, rows: Predictions, about: Sequence[About]) -> Sequence[Drawing]:  # noqa: ARG002
        """Draw what is missed, by what was expected, where a row has one number; kinds made of this one may not."""
        return [*of_numbers(rows, self.unit)] if self.width == self.label_width == 1 else []

    def described(self, labels: Floats) -> Mapping[str, float]:
        """Return mean, and least and largest."""
        return {"mean": float(labels.mean()), "least": float(labels.min()), "largest": float(labels.max())}
