"""Point-in-time join on DuckDB, by its as-of join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import ViewRows
    from loopline.platform_core.features.compute.point_in_time import Matches

MATCHES = """
WITH usable AS (
    SELECT place, key, event, created, greatest(event, created) AS known
    FROM held WHERE key IS NOT NULL AND event IS NOT NULL AND created IS NOT NULL
), walked AS (
    SELECT key, known, place, event, max(event) OVER walk AS newest, lead(known) OVER walk AS later FROM usable
    WINDOW walk AS (PARTITION BY key ORDER BY known, event, created ROWS UNBOUNDED PRECEDING)
), news AS (
    SELECT key, known, place FROM walked WHERE event = newest AND known IS DISTINCT FROM later
)
SELECT asks.place AS asking, news.place AS found
FROM asks ASOF JOIN news ON asks.key = news.key AND asks.at >= news.known
"""
"""A row can be used from ``known`` on; one that is older than an event already known is no news. Of several that become
known at once the last stays: which of them the join would take is left open."""


def matching(connection: duckdb.DuckDBPyConnection, labels: pa.Table, views: Sequence[ViewRows]) -> Iterator[Matches]:
    """Join view by view."""
    for each in views:
        connection.register("asks", _numbered(labels, {each.view.entity: "key", EVENT_TIME: "at"}))
        connection.register(
            "held", _numbered(each.rows, {each.view.entity: "key", EVENT_TIME: "event", CREATED_AT: "created"})
        )
        found = connection.execute(MATCHES).fetchnumpy()
        yield found["asking"], found["found"]


def _numbered(table: pa.Table, names: dict[str, str]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    return (
        table.select(list(names))
        .rename_columns(list(names.values()))
        .append_column("place", pa.array(np.arange(len(table))))
    )
