"""The same join by Feast: ``python -m benchmarks.point_in_time.feast_side known|default FOLDER`` in its environment.

As its documentation has it: Parquet sources, the DuckDB offline store, a pandas frame of entities and times.
``known`` asks what ours always asks (``filter_by_created_timestamp``): nothing that was not known at the label's time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.measured import measured
from benchmarks.peers.feast_store import View, open_store, references

WARM = 1_000


def main() -> None:
    """Join once small and once whole; print what it cost and what came out."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    views = [View(**one) for one in json.loads((folder / "feast.json").read_text())]
    labels = pd.read_parquet(folder / "labels.parquet")
    with tempfile.TemporaryDirectory() as repository:
        store = open_store(Path(repository), views)

        def join(frame: pd.DataFrame) -> pd.DataFrame:
            asked = references(views)
            return store.get_historical_features(
                entity_df=frame, features=asked, filter_by_created_timestamp=side == "known"
            ).to_df()

        join(labels.head(WARM))
        found, cost = measured(lambda: join(labels))
    checks = {name: [int(found[name].notna().sum()), float(found[name].sum())] for v in views for name, _ in v.features}
    print(json.dumps({"seconds": cost.seconds, "peak_mb": cost.peak_mb, "checks": checks}))


if __name__ == "__main__":
    main()
