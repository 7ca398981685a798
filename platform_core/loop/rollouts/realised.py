"""Labelled predictions of two versions, read from the lake's table that ``monitor.quality.realised`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL, ModelRef, realised_table
from loopline.platform_core.foundation.number_lists import to_array
from loopline.platform_core.loop.rollouts import pairs, raw
from loopline.platform_core.specs.judges.judges import Both

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.lake import Lake

BATCH = "_batch"
"""Number of the batch in which a label came; labels of a later batch come after, whatever their times."""
ORDER = (BATCH, KNOWN_AT, "request_id", "row")
SAME = ("request_id", "row", EVENT_TIME)
"""What a replayed row shares with the caller's, of what is kept."""
COLUMNS = (*ORDER, EVENT_TIME, "version", "role", "logged_at", "score", LABEL)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Answered rows whose label has come, in order of coming: the candidate's, the stable version's, those of both.

    ``candidate`` and ``stable`` were answered while both answered. ``scores`` are what both made of the same rows, one
    when it was asked and the other when that was replayed, and ``labels`` are those rows', (rows,) or (rows, numbers).
    """

    candidate: pa.Table
    stable: pa.Table
    labels: NDArray[np.float64]
    scores: Both


def of(  # noqa: PLR0913 - which rows, and how many numbers each has
    lake: Lake, ref: ModelRef, versions: tuple[str, str], since: datetime, *, shadow: bool = False, width: int = 1
) -> Labelled:
    """Read what two versions (candidate, stable) answered since an instant and has a label.

    Of a ``shadow`` what counts is what it said to replayed requests; else that counts only beside what was answered.
    ``width`` is how many numbers the model returns for a row.
    """
    import pyarrow.compute as pc

    rows = _rows(lake, ref, versions, since, width)
    shadowed = pc.equal(rows["role"], SHADOW_ROLE)
    candidate, stable = (pc.equal(rows["version"], version) for version in versions)
    seen = shadowed if shadow else pc.invert(shadowed)
    mine, other = rows.filter(pc.and_(candidate, seen)), rows.filter(pc.and_(stable, pc.invert(shadowed)))
    answered, repeated = pairs.matched(rows, versions, SAME, ORDER)
    scores = pairs.sides(repeated, versions[0], (raw.of(repeated), raw.of(answered)))
    return Labelled(*_meanwhile(mine, other), to_array(repeated[LABEL]), scores)


def _rows(lake: Lake, ref: ModelRef, versions: tuple[str, str], since: datetime, width: int) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = realised_table(*ref)
    if lake.version(table) is None:
        return _nothing()
    rows = raw.read(lake, table, COLUMNS, width, among={"version": pa.array(versions)})
    since_us = pa.scalar(since, rows.schema.field("logged_at").type)
    rows = rows.filter(pc.and_(pc.greater_equal(rows["logged_at"], since_us), pc.is_valid(rows["score"])))
    return rows.sort_by([(name, "ascending") for name in ORDER])


def _meanwhile(mine: pa.Table, other: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return of both sides what was answered while both answered: at other times there were other customers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(mine) or not len(other):
        return mine.slice(0, 0), other.slice(0, 0)
    spans = [pc.min_max(side["logged_at"]) for side in (mine, other)]
    begun = max(span["min"].as_py() for span in spans)
    ended = min(span["max"].as_py() for span in spans)
    found = []
    for side in (mine, other):
        kind = side.schema.field("logged_at").type
        after = pc.greater_equal(side["logged_at"], pa.scalar(begun, kind))
        found.append(side.filter(pc.and_(after, pc.less_equal(side["logged_at"], pa.scalar(ended, kind)))))
    return found[0], found[1]


def _nothing() -> pa.Table:
    """Return no rows."""
    import pyarrow as pa

    instant, text = pa.timestamp("us", tz="UTC"), pa.string()
    types = {BATCH: pa.int64(), "row": pa.int32(), "score": pa.float64(), LABEL: pa.float64()}
    types |= dict.fromkeys((KNOWN_AT, EVENT_TIME, "logged_at"), instant)
    types |= dict.fromkeys(("request_id", "version", "role"), text)
    return pa.table({name: pa.array([], types[name]) for name in COLUMNS})
