"""KServe's own server: ``python -m benchmarks.peers.serve_kserve FOLDER PORT WORKERS``.

A custom model, as KServe's documentation writes it; gRPC and the log of latencies are off, which is kind to it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import joblib
import kserve
import lightgbm
import numpy as np

from benchmarks.serving.data import BOOSTED, FILES, PIPELINE


class Served(kserve.Model):  # type: ignore[misc]
    """A model that answers with scores; workers are started anew, so all of it can be pickled."""

    def __init__(self, name: str, model: Any) -> None:
        super().__init__(name)
        self._model = model
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        """Answer a request of protocol V2."""
        scores = np.asarray(self.scores(payload.inputs[0].as_numpy()))
        output = kserve.InferOutput("probability", list(scores.shape), "FP64")
        output.set_data_from_numpy(scores, binary_data=False)
        return kserve.InferResponse(payload.id or "none", self.name, infer_outputs=[output])

    def scores(self, x: Any) -> Any:
        """Return the pipeline's probabilities."""
        return self._model.predict_proba(x)[:, 1]


class Boosted(Served):
    """LightGBM's booster."""

    def scores(self, x: Any) -> Any:
        """Return the booster's probabilities."""
        return self._model.predict(x, num_threads=1, validate_features=False)


def main() -> None:
    """Serve until ended."""
    folder, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    booster = lightgbm.Booster(model_file=str(folder / BOOSTED / FILES[BOOSTED]))
    pipeline = joblib.load(folder / PIPELINE / FILES[PIPELINE])
    models = [Boosted(BOOSTED, booster), Served(PIPELINE, pipeline)]
    serve(models, port, workers)


def serve(models: list[kserve.Model], port: int, workers: int) -> None:
    """Serve models until ended."""
    server = kserve.ModelServer(http_port=port, workers=workers, enable_grpc=False, enable_latency_logging=False)
    for name in ("uvicorn.access", "kserve.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.argv[1:] = []
    server.start(models)


if __name__ == "__main__":
    main()
