"""Realised table: each answered row is appended once, when its label has come."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.serving import BATCH_ROLE
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, KNOWN_AT, LABEL, ModelRef, realised_table
from loopline.platform_core.foundation.number_lists import there, to_column
from loopline.platform_core.loop.rollouts.raw import RAW
from loopline.platform_core.loop.rollouts.realised import BATCH
from loopline.platform_core.monitor.quality.outcomes import KEPT, told_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.monitor.quality.labelled import LabelBook
    from loopline.platform_core.monitor.quality.outcomes import Answered

APPLICATION = "loopline.realised"
"""Transaction of the realised table that counts batches."""


class Recorded(NamedTuple):
    """The realised table's last batch, and which answers are known to be in it."""

    batch: int
    answers: NDArray[np.bool_]


def keep(  # noqa: PLR0913, PLR0917 - rows, labels, and where they go
    lake: Lake, ref: ModelRef, labels: LabelBook, answered: Answered, now_us: int, before: Recorded
) -> Recorded:
    """Append answered requests whose label has come by now, without those of earlier calls.

    A label that is corrected later changes nothing here. Of several callers at once one writes.
    """
    table = realised_table(*ref)
    done: int = lake.committed(table, [APPLICATION]).get(APPLICATION, 0)
    known = before.answers if before.batch <= done else np.zeros_like(before.answers)  # or it is another table
    left, came = np.flatnonzero(~known & ~answered.has_role(BATCH_ROLE)), np.zeros_like(known)
    came[left] = there(labels.known(answered.examples.places[left], now_us))
    rows = _labelled(labels, answered.where(came))
    new = _without(rows, _written(lake, table, rows)) if done and len(rows) else rows
    if not new.num_rows:
        return Recorded(done, known | came)
    new = new.append_column(BATCH, pa.array([done + 1] * new.num_rows, pa.int64()))
    new = new.append_column(DATE, new.column(EVENT_TIME).cast(pa.date32()))
    after = {APPLICATION: done} if done else {}
    with suppress(CommitConflict):  # another writer had the same labels
        lake.append(table, new, {APPLICATION: done + 1}, after=after)
        return Recorded(done + 1, known | came)
    return Recorded(done, known)


def _labelled(labels: LabelBook, answered: Answered) -> pa.Table:
    """Return rows with their label, and the time since when it was known."""
    rows, places = told_apart(answered.rows), answered.examples.places
    if RAW in answered.rows.column_names:
        rows = rows.append_column(RAW, answered.rows[RAW])
    rows = rows.append_column(LABEL, to_column(labels.labels[places]))
    return rows.append_column(KNOWN_AT, pa.array(labels.known_us[places]).cast(pa.timestamp("us", tz="UTC")))


def _without(rows: pa.Table, written: pa.Table) -> pa.Table:
    """Leave out rows that are written; Arrow joins no lists, so that places are joined."""
    places = rows.select(KEPT).append_column("place", pa.array(np.arange(len(rows))))
    return rows.take(places.join(written, list(KEPT), join_type="left anti")["place"].sort())


def _written(lake: Lake, table: str, rows: pa.Table) -> pa.Table:
    """Read what the table has of the days of some rows."""
    days = pc.min_max(rows[EVENT_TIME].cast(pa.date32())).as_py()
    return lake.read(table, columns=KEPT, since=days["min"], until=days["max"]).select(KEPT)
