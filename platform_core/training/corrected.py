"""Filter of training rows whose features were corrected since: mistakes are left out, changes of state are not.

An order that is cancelled later has changed its state; left out, all that is to be learnt would go with it. So what was
corrected stays where that goes with the label among the rows of the same day, and of the same entity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import EVENT_TIME, LABEL

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.specs import Model

    Flags = NDArray[np.bool_]
    Codes = NDArray[np.int64]

LEFT_OUT, LEARNT, STATE = "left out", "learnt as they were known", "learnt, as they go with the label"
_SURE, _ALIKE = 5.0, 2.0
"""Standard deviations that the labels of corrected rows differ: from others of their days, and of their entities."""
_DAY_US = 86_400_000_000


def choice(model: Model, rows: pa.Table, corrected: Flags) -> str:
    """Say what becomes of the corrected rows: ``LEFT_OUT``, ``LEARNT`` or ``STATE``; "" where there is none."""
    if not corrected.any():
        return ""
    if model.training == "as_known":
        return LEARNT
    return STATE if follows_label(model, rows, corrected) else LEFT_OUT


def follows_label(model: Model, rows: pa.Table, corrected: Flags) -> bool:
    """Say whether corrected rows have other labels than the rest of their days, and of each entity that has several."""
    import numpy as np
    import pyarrow as pa

    days = np.unique(rows[EVENT_TIME].cast(pa.int64()).to_numpy() // _DAY_US, return_inverse=True)[1]
    several = [codes for name in model.labels.entities if (codes := _codes(rows[name])).max() + 1 < len(rows)]
    labels = model.target.encoded(rows[LABEL])
    return any(
        abs(far := _apart(column, corrected, days)) > _SURE
        and all(np.sign(far) * _apart(column, corrected, codes) > _ALIKE for codes in several)
        for column in labels.reshape(len(rows), -1).T
    )


def _apart(labels: NDArray[np.float64], corrected: Flags, groups: Codes) -> float:
    """Return how many standard deviations the ranks of corrected rows lie from those of others of their groups.

    What chance does is what drawing as many rows of each group would do.
    """
    import numpy as np

    there = ~np.isnan(labels)
    ranks = np.unique(labels[there], return_inverse=True)[1].astype(np.float64)
    chosen, own = corrected[there], groups[there]
    size, picked = np.bincount(own), np.bincount(own, chosen)
    mean = np.bincount(own, ranks) / np.maximum(size, 1)
    spread = np.bincount(own, (ranks - mean[own]) ** 2)
    chance = picked * (size - picked) / np.maximum(size * (size - 1.0), 1) * spread
    found = np.sum((ranks - mean[own])[chosen])
    return float(found / np.sqrt(chance.sum())) if chance.sum() > 0 else 0.0


def _codes(values: pa.ChunkedArray) -> Codes:
    import numpy as np
    import pyarrow as pa

    codes = values.combine_chunks().dictionary_encode(null_encoding="encode").indices
    return np.asarray(codes.cast(pa.int64()))
