"""The answered rows whose label has come, as the lake holds them; ``monitor.realised`` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.names import KNOWN_AT, LABEL, ModelRef, realised_table

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake

BATCH = "_batch"
"""Number of the batch in which a label came; labels of a later batch come after, whatever their times."""
ORDER = (BATCH, KNOWN_AT, "request_id", "row")
COLUMNS = (*ORDER, "version", "role", "logged_at", "score", LABEL)


def of(
    lake: Lake, ref: ModelRef, versions: tuple[str, str], since: datetime, *, shadow: bool = False
) -> tuple[pa.Table, pa.Table]:
    """Read what two versions (candidate, stable) answered since an instant and has a label, in order of coming.

    Of a ``shadow`` what counts is what it said to replayed requests; else that never counts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = realised_table(*ref)
    if lake.version(table) is None:
        nothing = pa.table({"score": pa.array([], pa.float64()), LABEL: pa.array([], pa.float64())})
        return nothing, nothing
    rows = lake.read(table, columns=list(COLUMNS), among={"version": pa.array(versions)})
    rows = rows.filter(pc.greater_equal(rows["logged_at"], pa.scalar(since, rows.schema.field("logged_at").type)))
    rows = rows.sort_by([(name, "ascending") for name in ORDER])
    shadowed = pc.equal(rows["role"], SHADOW_ROLE)
    candidate, stable = (pc.equal(rows["version"], version) for version in versions)
    seen = shadowed if shadow else pc.invert(shadowed)
    return rows.filter(pc.and_(candidate, seen)), rows.filter(pc.and_(stable, pc.invert(shadowed)))
