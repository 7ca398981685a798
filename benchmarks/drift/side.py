"""``python -m benchmarks.drift.side ours|file|evidently ROWS``: one side in its own process; prints one JSON object.

``ours`` and ``evidently`` are given rows in memory; ``file`` reads them from Parquet, piece by piece.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.drift.data import LEVELS, table
from benchmarks.measured import Cost, measured

PIECE = 100_000


def main() -> None:
    """Measure one side."""
    side, rows = sys.argv[1], int(sys.argv[2])
    times = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    print(json.dumps({"ours": _ours, "file": _file, "evidently": _evidently}[side](rows, times)))


def _ours(rows: int, times: int) -> dict[str, Any]:
    from loopline.platform_core.monitor.drift.window import judge_table

    profile, built = measured(lambda: _profile(rows))
    window = _scored(table(rows, 1, moved=True))
    _, first = measured(lambda: judge_table(profile, window))
    found = [measured(lambda: judge_table(profile, window)) for _ in range(times)]
    return _told([cost for _, cost in found], {n: c.score for n, c in found[0][0].columns.items()}) | {
        "first": first.seconds,
        "profile": built.seconds,
    }


def _file(rows: int, times: int) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from loopline.platform_core.monitor.drift.window import judge_batches

    profile = _profile(rows)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "window.parquet"
        pq.write_table(_scored(table(rows, 1, moved=True)), file, row_group_size=PIECE)
        judge_batches(profile, _pieces(file))
        found = [measured(lambda: judge_batches(profile, _pieces(file))) for _ in range(times)]
    return _told([cost for _, cost in found], {n: c.score for n, c in found[0][0].columns.items()})


def _pieces(file: Path) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(file).iter_batches(PIECE, use_threads=False):
        yield pa.Table.from_batches([batch])


def _evidently(rows: int, times: int) -> dict[str, Any]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    sides = [side.to_pandas() for side in (table(rows, 1, moved=True), table(rows, 0))]
    categories = [f"c{levels}" for levels in LEVELS]
    numbers = [name for name in sides[0].columns if name not in categories]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)

    def run() -> Any:
        current, reference = (Dataset.from_pandas(side, data_definition=definition) for side in sides)
        report = Report([DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")])
        return report.run(current, reference)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [measured(run) for _ in range(times)]
    values = [metric for metric in found[0][0].dict()["metrics"] if "column" in metric["config"]]
    return _told([cost for _, cost in found], {one["config"]["column"]: float(one["value"]) for one in values})


def _profile(rows: int) -> Any:
    from loopline.platform_core.monitor.drift.profile import build_profile

    reference = table(rows, 0)
    return build_profile(reference, reference.column_names, np.zeros(rows))


def _scored(rows: pa.Table) -> pa.Table:
    return rows.append_column("score", pa.array(np.zeros(len(rows))))


def _told(costs: list[Cost], scores: dict[str, float]) -> dict[str, Any]:
    middle = sorted(costs)[len(costs) // 2]
    return {"seconds": middle.seconds, "peak_mb": max(cost.peak_mb for cost in costs), "scores": scores}


if __name__ == "__main__":
    main()
