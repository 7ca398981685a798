"""Leaderboard of a search's trials, and the baseline that a model must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.specs.search import FAMILY
from loopline.platform_core.targets import ROWS
from loopline.platform_core.training import evaluate

if TYPE_CHECKING:
    from loopline.platform_core.targets import Target
    from loopline.platform_core.training.evaluate import Floats
    from loopline.platform_core.training.examples import Learnable
    from loopline.platform_core.training.order import Fitted, Order
    from loopline.platform_core.training.search.journal import Trial

SHOWN = 50
"""Trials that are kept with a version, the best ones."""


def leaderboard(order: Order, fitted: Fitted) -> list[dict[str, Any]]:
    """Return the best trials, the best first: ``number``, ``family``, ``params``, ``score``, ``seconds``, ``weight``.

    ``score`` is the searched metric on the validation rows, None of a trial that was ended early; ``weight`` is its
    share in what is served: 1 of one, 0 of what is not in it.
    """
    trials = sorted(fitted.search.trials, key=lambda one: (one.value is None, -(one.value or 0.0), one.number))
    return [_row(order, fitted, trial) for trial in trials[:SHOWN]]


def _row(order: Order, fitted: Fitted, trial: Trial) -> dict[str, Any]:
    lower = order.model.target.metrics[order.model.searched].better == "lower"
    score = -trial.value if lower and trial.value is not None else trial.value
    family = str(trial.params.get(FAMILY, ""))
    own = {key.removeprefix(f"{family}."): value for key, value in trial.params.items() if key != FAMILY}
    return {
        "number": trial.number,
        "family": family,
        "params": own,
        "score": score,
        "seconds": round(trial.seconds, 3),
        "weight": round(fitted.weights.get(trial.number, 0.0), 4),
    }


def baseline(target: Target, data: Learnable) -> dict[str, float] | None:
    """Measure on the evaluation rows what knows nothing but the labels of training; None where a kind has no such."""
    constant = target.baseline(data.y[data.parts.train])
    if constant is None:
        return None
    labels = data.y[data.parts.evaluation]
    return evaluate.metrics(target, labels, _repeated(constant, len(labels)))


def _repeated(constant: Floats, rows: int) -> Floats:
    each = np.tile(constant, (rows, 1))
    return each[:, 0] if len(constant) == 1 else each


def named(metrics: Mapping[str, float]) -> dict[str, float]:
    """Name a baseline's metrics as a registry keeps them beside the version's own."""
    return {f"baseline_{name}": value for name, value in metrics.items() if name != ROWS}
