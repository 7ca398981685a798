"""Cost section of a model's page, from the scorecard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError
from loopline.scorecard import model_cost

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.portal.page_request import Portal
    from loopline.scorecard import Figure


@dataclass(frozen=True)
class CostRow:
    """One figure: ``how`` says how it is computed, ``count`` of how many cases, ``reason`` why there is none."""

    name: str
    value: float | None
    unit: str
    count: int
    how: str
    at: datetime
    reason: str


def read(portal: Portal, ref: ModelRef) -> list[CostRow]:
    """Read the figures that are there; none where the scorecard was not computed, or cannot be read now."""
    try:
        found = model_cost.of_model(portal.platform, ref)
    except LooplineError:
        return []
    figures = (found.training_run, found.million_predictions, found.cpu_ms_a_request, found.training_cpu_utilisation)
    return [_row(figure) for figure in figures if figure is not None]


def _row(figure: Figure) -> CostRow:
    return CostRow(figure.name, figure.value, figure.unit, figure.count, figure.how, figure.at, figure.reason)
