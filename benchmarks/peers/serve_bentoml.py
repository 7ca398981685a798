"""BentoML: ``python -m benchmarks.peers.serve_bentoml FOLDER PORT WORKERS`` becomes ``bentoml serve``.

A service as its documentation writes it, with arrays in and out; models are loaded once a worker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import joblib
import lightgbm
import numpy as np

from benchmarks.serving.data import BOOSTED, FILES, PIPELINE


@bentoml.service(workers=int(os.environ.get("BENCH_WORKERS", "1")), logging={"access": {"enabled": False}})
class Models:
    """Both models."""

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_FOLDER"])
        self._booster = lightgbm.Booster(model_file=str(folder / BOOSTED / FILES[BOOSTED]))
        self._pipeline = joblib.load(folder / PIPELINE / FILES[PIPELINE])

    @bentoml.api
    def boosted(self, x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """Answer rows."""
        return np.asarray(self._booster.predict(x, num_threads=1, validate_features=False))

    @bentoml.api
    def pipeline(self, x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """Answer rows."""
        return np.asarray(self._pipeline.predict_proba(x)[:, 1])


def main() -> None:
    """Become the server."""
    folder, port, workers = sys.argv[1:]
    os.environ |= {"BENCH_FOLDER": folder, "BENCH_WORKERS": workers, "BENTOML_DO_NOT_TRACK": "True"}
    os.environ["BENTOML_HOME"] = str(Path(folder, "bentoml"))
    program = str(Path(sys.executable).parent / "bentoml")
    arguments = ["serve", "benchmarks.peers.serve_bentoml:Models", "--host", "127.0.0.1", "--port", port]
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main()
