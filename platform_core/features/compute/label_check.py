"""Labels of a model: computed by its function, and validated against its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import LABEL

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import Model


def labels_of(engine: Engine, model: Model, raw: pa.Table) -> pa.Table:
    """Compute a model's labels of raw rows.

    Raises:
        ContractBroken: some are none of the model's kind.
    """
    found = engine.compute_labels(model.labels, raw)
    if trouble := model.target.trouble(found[LABEL]):
        problem, _, fix = trouble.rpartition(": ")
        raise ContractBroken(f"labels {model.labels.name!r}: {problem}", fix)
    return found
