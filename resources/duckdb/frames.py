"""Conversion of Arrow tables to DuckDB relations and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import narwhals as nw
    import pyarrow as pa


class DuckdbFrames:
    """Relations of one connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def ordered(self, rows: pa.Table, by: Sequence[str], together: str | None) -> nw.LazyFrame[Any]:  # noqa: ARG002
        """Keep the sorted rows in a table: DuckDB drops the order of a subquery."""
        import duckdb
        import narwhals as nw

        self._connection.register("arrived", rows)
        first = (duckdb.ColumnExpression(name) for name in dict.fromkeys([*by, *rows.column_names]))
        self._connection.table("arrived").sort(*first).create("ordered")
        lazy: nw.LazyFrame[Any] = nw.from_native(self._connection.table("ordered"))
        return lazy

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run the query."""
        return frame.collect("pyarrow").to_native()
