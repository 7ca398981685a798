"""Explanations in a response: each column's contribution, where the request asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.model.explaining import BASE, CONTRIBUTIONS, FIX

if TYPE_CHECKING:
    from loopline.platform_core.runtime.answering.predicting import VersionPrediction
    from loopline.platform_core.runtime.answering.routes import Version
    from loopline.platform_core.runtime.wire.protocol import InferRequest

MOST_ROWS = 256
"""Rows that one request may have explained: a row costs up to some hundred times what it costs to predict it."""


def check(version: Version, request: InferRequest) -> None:
    """Refuse what cannot be explained.

    Raises:
        BadRequest: the version's form cannot, there are too many rows, or an output is named that there is not.
    """
    explainer = version.model.explainer
    if explainer is None or explainer.trouble:
        why = explainer.trouble if explainer else "it was not loaded from a package"
        raise BadRequest(
            f"parameter explain: version {version.served.version} cannot be explained: {why}",
            f"leave the parameter out; {FIX}",
        )
    if request.rows > MOST_ROWS:
        raise BadRequest(
            f"parameter explain: {request.rows} rows exceed {MOST_ROWS}",
            "ask for fewer rows at once, or have days explained: Model(explain=Explain(...))",
        )
    if request.outputs:
        explainer.form.check(request.outputs)


def with_reasons(version: Version, predicted: VersionPrediction, outputs: Mapping[str, Any]) -> Mapping[str, list[Any]]:
    """Put contributions and base beside the outputs of rows that were predicted."""
    explainer = version.model.explainer
    assert explainer is not None, "checked before"
    raw = np.asarray(predicted.scores if predicted.raw is None else predicted.raw)
    found = explainer.explain(version.recipe.matrix(predicted.gathered.rows), raw)
    each = found.contributions if found.contributions.shape[1] > 1 else found.contributions[:, 0]
    return {**outputs, CONTRIBUTIONS: each.tolist(), BASE: found.base.tolist()}
