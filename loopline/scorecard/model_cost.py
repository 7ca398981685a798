"""Latest cost figures of one model, read from the scorecard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.scorecard.store import latest

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.scorecard.figure import Figure

FIGURES = ("cost_a_training_run", "cost_a_million_predictions", "cpu_ms_a_request", "training_cpu_utilisation")


@dataclass(frozen=True)
class Cost:
    """What a model costs, as of the scorecard's newest look: a figure each, None while none was computed."""

    ref: ModelRef
    training_run: Figure | None
    million_predictions: Figure | None
    cpu_ms_a_request: Figure | None
    training_cpu_utilisation: Figure | None


def of_model(platform: Platform, ref: ModelRef) -> Cost:
    """Return what a model costs."""
    known = {figure.name: figure for figure in latest(platform, str(ref))}
    return Cost(ref, *(known.get(name) for name in FIGURES))
