"""Answered rows meet their labels: each row goes into the realised table once, when its label has come."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa

from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, ModelRef, realised_table
from loopline.platform_core.loop.realised import BATCH

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Lake

APPLICATION = "loopline.realised"
"""Transaction of the realised table that counts batches."""
KEPT = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score")
"""What is kept of a row, and tells it from others: its request's id is the caller's, who may name many alike."""


def keep(lake: Lake, ref: ModelRef, came: pa.Table) -> int:
    """Append answered rows whose label has come, without those of earlier calls.

    ``came`` has the columns ``KEPT``, ``label`` and ``known_at``. A label that is corrected later changes nothing here.
    Of several callers at once one writes.

    Returns:
        How many rows were added.
    """
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


def _seen(lake: Lake, ref: ModelRef) -> pa.Table:
    return lake.read(realised_table(*ref), columns=KEPT).select(KEPT)
