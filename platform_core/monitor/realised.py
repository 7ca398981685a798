"""Answered rows meet their labels: each row goes into the realised table once, when its label has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from platform_core.errors import CommitConflict
from platform_core.loop.realised import BATCH
from platform_core.names import DATE, EVENT_TIME, KNOWN_AT, LABEL, ModelRef, realised_table

if TYPE_CHECKING:
    from platform_core.contracts.lake import Lake

APPLICATION = "loopline.realised"
"""Transaction of the realised table that counts batches."""
IDENTITY = ("request_id", "row", "role", "version")
KEPT = (*IDENTITY, EVENT_TIME, "logged_at", "score")

Key = tuple[str, ...]
Known = Mapping[Key, tuple[float, datetime]]
"""Label of each example, and when it became known."""


def keep(lake: Lake, ref: ModelRef, rows: pa.Table, keys: Sequence[Key], known: Known) -> int:
    """Append the answered ``rows`` (columns ``KEPT``, aligned with ``keys``) whose label has come since the last call.

    A label that is corrected later changes nothing here. Of several callers at once one writes.

    Returns:
        How many rows were added.
    """
    done: int = lake.committed(realised_table(*ref), [APPLICATION]).get(APPLICATION, 0)
    came = _came(rows, keys, known)
    came = came.filter(_unseen(lake, ref, came)) if done else came
    if not came.num_rows:
        return 0
    came = came.append_column(BATCH, pa.array([done + 1] * came.num_rows, pa.int64()))
    came = came.append_column(DATE, came.column(EVENT_TIME).cast(pa.date32()))
    after = {APPLICATION: done} if done else {}
    with suppress(CommitConflict):  # another writer had the same labels
        lake.append(realised_table(*ref), came, {APPLICATION: done + 1}, after=after)
        return len(came)
    return 0


def _came(rows: pa.Table, keys: Sequence[Key], known: Known) -> pa.Table:
    found = [known.get(key) for key in keys]
    labelled = rows.select(KEPT).filter(pa.array([one is not None for one in found], pa.bool_()))
    both = [one for one in found if one is not None]
    labelled = labelled.append_column(LABEL, pa.array([float(label) for label, _ in both], pa.float64()))
    return labelled.append_column(KNOWN_AT, pa.array([at for _, at in both], pa.timestamp("us", tz="UTC")))


def _unseen(lake: Lake, ref: ModelRef, came: pa.Table) -> pa.Array:
    table = lake.read(realised_table(*ref), columns=IDENTITY)
    seen = set(_identities(table))
    return pa.array([identity not in seen for identity in _identities(came)], pa.bool_())


def _identities(rows: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in IDENTITY), strict=True))
