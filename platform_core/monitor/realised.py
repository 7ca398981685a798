"""Answered rows meet their labels: each row goes into the realised table once, when its label has come."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.serving import BATCH_ROLE
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, KNOWN_AT, LABEL, ModelRef, realised_table
from loopline.platform_core.loop.realised import BATCH

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.monitor.labelled import LabelBook
    from loopline.platform_core.monitor.outcomes import Answered

APPLICATION = "loopline.realised"
"""Transaction of the realised table that counts batches."""
KEPT = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score")
"""What is kept of a row, and tells it from others: its request's id is the caller's, who may name many alike."""


def keep(lake: Lake, ref: ModelRef, labels: LabelBook, answered: Answered, now_us: int) -> int:
    """Append answered requests whose label has come by now, without those of earlier calls.

    A label that is corrected later changes nothing here. Of several callers at once one writes.

    Returns:
        How many rows were added.
    """
    came = _labelled(labels, answered.where(~answered.has_role(BATCH_ROLE)), now_us)
    done: int = lake.committed(realised_table(*ref), [APPLICATION]).get(APPLICATION, 0)
    came = came.join(_seen(lake, ref), list(KEPT), join_type="left anti") if done and came.num_rows else came
    if not came.num_rows:
        return 0
    came = came.append_column(BATCH, pa.array([done + 1] * came.num_rows, pa.int64()))
    came = came.append_column(DATE, came.column(EVENT_TIME).cast(pa.date32()))
    after = {APPLICATION: done} if done else {}
    with suppress(CommitConflict):  # another writer had the same labels
        lake.append(realised_table(*ref), came, {APPLICATION: done + 1}, after=after)
        return len(came)
    return 0


def _labelled(labels: LabelBook, answered: Answered, now_us: int) -> pa.Table:
    """Return the rows whose label has come, with it and the time since when it was known."""
    came = np.isfinite(labels.known(answered.examples.places, now_us))
    chosen = answered.rows.select(KEPT).filter(pa.array(came))
    label_rows = labels.table.take(pa.array(answered.examples.places[came]))
    chosen = chosen.append_column(LABEL, label_rows[LABEL].cast(pa.float64()))
    return chosen.append_column(KNOWN_AT, label_rows[KNOWN_AT].cast(pa.timestamp("us", tz="UTC")))


def _seen(lake: Lake, ref: ModelRef) -> pa.Table:
    return lake.read(realised_table(*ref), columns=KEPT).select(KEPT)
