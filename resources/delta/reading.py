"""Reads rows of a Delta table: of a version, or only those added after another."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import DATE
from loopline.resources.delta.months import MONTH, lies_in_months, month_of

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from deltalake import DeltaTable

_OF_THE_FEED = ("_change_type", "_commit_version", "_commit_timestamp")


@dataclass(frozen=True)
class Wanted:
    """Which columns and rows are read; bounds are included, nulls are never among given values."""

    columns: Sequence[str] | None
    since: date | None
    until: date | None
    among: Mapping[str, pa.Array]

    def of(self, frame: pl.LazyFrame, *, in_months: bool) -> pa.Table:
        """Read them from a frame of a table, which may lie in folders of months."""
        import polars as pl

        for bound, places in ((self.since, operator.ge), (self.until, operator.le)):
            if bound is not None and in_months:  # the folders that may hold such days
                frame = frame.filter(places(pl.col(MONTH), month_of(bound)))
            if bound is not None:
                frame = frame.filter(places(pl.col(DATE), bound))
        for column, values in self.among.items():
            frame = frame.filter(pl.col(column).is_in(pl.Series(values.unique()).drop_nulls().implode()))
        frame = frame.drop(MONTH) if in_months else frame
        found = (frame.select(self.columns) if self.columns is not None else frame).collect()
        return found.rechunk().to_arrow()  # a chunk for each file costs whoever goes on with them more than one copy


def rows_of(delta_table: DeltaTable, wanted: Wanted) -> pa.Table:
    """Read rows of the version at which the table is open.

    Raises:
        NotFound: its files were let go.
    """
    import polars as pl

    try:
        frame = pl.scan_delta(delta_table, use_pyarrow=_is_encoded(delta_table.table_uri))
        return wanted.of(frame, in_months=lies_in_months(delta_table))
    except (OSError, pl.exceptions.PolarsError) as error:
        if not isinstance(error, FileNotFoundError) and "not found" not in str(error).lower():
            raise
        raise NotFound(
            f"version {delta_table.version()} of {delta_table.table_uri} is gone: {error}",
            "read a version that tidying keeps",
        ) from error


def _is_encoded(uri: str) -> bool:
    """Say whether a folder of this machine has a space or the like: Polars looks for the path as the URL writes it."""
    return uri.startswith("file:") and "%" in uri


def newer_rows(delta_table: DeltaTable, wanted: Wanted, version: int) -> pa.Table:
    """Read rows that commits after ``version`` added; merging files adds none.

    Raises:
        NotFound: the log or the files of those commits were let go.
    """
    import polars as pl
    from deltalake.exceptions import DeltaError

    if version >= delta_table.version():
        return rows_of(delta_table, wanted).slice(0, 0)
    try:
        feed = delta_table.load_cdf(starting_version=version + 1, ending_version=delta_table.version())
        frame = pl.DataFrame(feed).lazy()
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        raise NotFound(
            f"{delta_table.table_uri} cannot tell what was added after version {version}: {error}", "read it whole"
        ) from error
    added = frame.filter(pl.col("_change_type") == "insert")  # days that were taken are told of as well
    return wanted.of(added.drop(_OF_THE_FEED), in_months=lies_in_months(delta_table))
