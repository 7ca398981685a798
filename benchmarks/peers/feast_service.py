"""Features of a service from a Feast repository: ``python -m benchmarks.peers.feast_service REPO SERVICE LABELS OUT``.

``LABELS`` and ``OUT`` are Parquet files; the labels hold keys and one time.
"""

from __future__ import annotations

import sys

import pandas as pd
from pyarrow import parquet


def main() -> None:
    """Ask as Feast's documentation does."""
    from feast import FeatureStore

    repository, service, labels, out = sys.argv[1:]
    store = FeatureStore(repo_path=repository)
    frame = pd.read_parquet(labels, dtype_backend="numpy_nullable")
    found = store.get_historical_features(entity_df=frame, features=store.get_feature_service(service))
    parquet.write_table(found.to_arrow(), out)


if __name__ == "__main__":
    main()
