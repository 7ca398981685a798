"""Conversion of Arrow tables to lazy Polars frames and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa


class PolarsFrames:
    """Frames in memory."""

    def ordered(self, rows: pa.Table, by: Sequence[str], together: str | None) -> nw.LazyFrame[Any]:  # noqa: ARG002
        """Sort at once: many expressions will read the rows."""
        frame = pl.DataFrame(pl.from_arrow(rows))
        return nw.from_native(frame.sort([*by, *[name for name in frame.columns if name not in by]]).lazy())

    def collect(self, frame: nw.LazyFrame[Any]) -> pa.Table:
        """Run in memory: the streaming engine keeps no order among floats that are added up."""
        lazy: pl.LazyFrame = frame.to_native()
        return pl.DataFrame(lazy.collect(engine="in-memory")).to_arrow()
