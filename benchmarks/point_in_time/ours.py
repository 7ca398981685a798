"""One join by an engine of ours, or by Polars alone: ``python -m benchmarks.point_in_time.ours SIDE FOLDER``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import parquet

from benchmarks.measured import measured
from benchmarks.point_in_time import by_hand
from benchmarks.point_in_time.data import SHAPES, checked, lake_table
from loopline.platform_core.contracts.engine import ViewRows

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import Engine

WARM = 1_000
"""Rows of a first, small join, so that libraries and thread pools are there when it counts."""


def main() -> None:
    """Join once small and once whole; print what it cost and what came out."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    join = SIDES[side](folder)
    join(WARM)
    found, cost = measured(lambda: join(None))
    columns = {name: found[name].to_numpy() for shape in SHAPES for name in shape.names}
    print(json.dumps({"seconds": cost.seconds, "peak_mb": cost.peak_mb, "checks": checked(columns)}))


def _from_memory(engine: Engine, folder: Path) -> Callable[[int | None], pa.Table]:
    labels, rows = parquet.read_table(folder / "labels.parquet"), _rows(folder)
    views = [shape.spec() for shape in SHAPES]

    def join(most: int | None) -> pa.Table:
        return engine.point_in_time(
            labels[:most], [ViewRows(view, table[:most]) for view, table in zip(views, rows, strict=True)]
        )

    return join


def _from_lake(engine: Engine, folder: Path) -> Callable[[int | None], pa.Table]:
    from loopline.resources.delta.lake import DeltaLake

    lake = DeltaLake(root=str(folder / "lake"))

    def join(most: int | None) -> pa.Table:
        labels = parquet.read_table(folder / "labels.parquet")
        views = [ViewRows(shape.spec(), lake.read(lake_table(shape))[:most]) for shape in SHAPES]
        return engine.point_in_time(labels[:most], views)

    return join


def _polars() -> Engine:
    from loopline.resources.polars.engine import PolarsEngine

    return PolarsEngine()


def _duckdb() -> Engine:
    from loopline.resources.duckdb.engine import DuckdbEngine

    return DuckdbEngine()


def _by_hand(folder: Path):
    return by_hand.join_of(parquet.read_table(folder / "labels.parquet"), _rows(folder))


def _rows(folder: Path) -> list[pa.Table]:
    return [parquet.read_table(folder / f"{shape.view}.parquet") for shape in SHAPES]


SIDES: dict[str, Callable[[Path], Callable[[int | None], pa.Table]]] = {
    "memory": lambda folder: _from_memory(_polars(), folder),
    "lake": lambda folder: _from_lake(_polars(), folder),
    "duckdb": lambda folder: _from_memory(_duckdb(), folder),
    "by_hand": _by_hand,
}

if __name__ == "__main__":
    main()
