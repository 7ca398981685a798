"""Fits a function in a notebook as a training does, without search, package and registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.lab import showing
from loopline.platform_core.training import evaluate

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.lab.packaging import Packaged
    from loopline.lab.rows import TrainingRows
    from loopline.platform_core.specs import Estimator
    from loopline.platform_core.training.evaluate import Floats


@dataclass(frozen=True, eq=False, repr=False)
class Fitted(showing.Table):
    """An estimator with the function and parameters that made it, its raw predictions of all rows, and metrics.

    ``told`` are the steps and scores that the function reported.
    """

    rows: TrainingRows
    fit: Callable[..., Estimator]
    params: Mapping[str, Any]
    estimator: Estimator
    raw: Floats
    metrics: Mapping[str, float]
    told: tuple[tuple[int, float], ...]

    @property
    def name(self) -> str:
        """Say which it is."""
        return getattr(self.fit, "__name__", "fit")

    def package(self, folder: str | Path, name: str) -> Packaged:
        """Write a model called ``name`` into a team's folder: this fit, with all else as the model has it.

        Raises:
            InvalidSpec, Refused: as ``packaging.packaged``.
        """
        from loopline.lab.packaging import packaged

        return packaged(self, folder, name)

    @property
    def _shown(self) -> showing.Shown:
        told = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        metrics = [[name, value] for name, value in self.metrics.items()]
        return f"{self.name}({told}), on held-out rows", ["metric", "value"], metrics


def fitted(rows: TrainingRows, fit: Callable[..., Estimator], params: Mapping[str, Any]) -> Fitted:
    """Fit on the rows to learn from, with those to choose by at hand, and measure on the newest ones."""
    data, target, told = rows.learnable, rows.model.target, list[tuple[int, float]]()
    parts = data.parts
    estimator = fit(data.part(parts.train), data.part(parts.valid), dict(params), lambda *said: told.append(said))
    raw = target.predictions(estimator, data.x)
    metrics = evaluate.metrics(target, data.y[parts.evaluation], raw[parts.evaluation])
    return Fitted(rows, fit, dict(params), estimator, raw, metrics, tuple(told))
