"""Feature importance of a version, on rows that it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.runtime.model.explaining import Explainer, shares
from loopline.platform_core.training.packaging.additivity import additive

if TYPE_CHECKING:
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.training.examples import Learnable
    from loopline.platform_core.training.order import Fitted, Order

ROWS = 200
"""Held-out rows that are explained, spread over all of them."""
SHOWN = 50


def importance(order: Order, data: Learnable, fitted: Fitted, manifest: Manifest, folder: Path) -> dict[str, float]:
    """Return each column's share of what moves predictions (mean |contribution|), the largest first; adding up to 1.

    Of what is no trees of LightGBM it writes first whether that is a sum of columns, and what each adds. Empty where a
    version cannot be explained.
    """
    if manifest.inputs != "matrix":
        return {}
    if manifest.kind != "lightgbm":
        counts = [len(data.encoded.vocabulary.get(name, ())) for name in data.encoded.columns]
        found = additive(fitted.estimator, data.x[data.parts.train], counts)
        if found is None:
            return {}
        found.save(folder)
    rows = np.linspace(data.parts.train.stop, len(data.x) - 1, ROWS).astype(np.int64)
    explainer = Explainer(folder, manifest, order.model.target)
    moved = np.abs(explainer.explain(data.x[rows], fitted.raw[rows]).contributions).mean(axis=0)
    return {name: round(share, 6) for name, share in [*shares(explainer.columns, moved).items()][:SHOWN]}
