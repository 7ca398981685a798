"""KServe's own server with a model of each kind: ``python -m benchmarks.peers.serve_kserve_kinds FOLDER PORT WORKERS``.

A custom model each, as KServe's documentation writes it, which answers with all that the estimator says; of a ranking
with the best ten. gRPC and the log of latencies are off, which is kind to it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import joblib
import kserve
import lightgbm
import numpy as np

from benchmarks.peers.serve_kserve import serve

LISTED = 10


class Served(kserve.Model):  # type: ignore[misc]
    """A model; workers are started anew, so all of it can be pickled."""

    def __init__(self, name: str, model: Any, asked: str) -> None:
        super().__init__(name)
        self._model, self._asked = model, asked
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        """Answer a request of protocol V2."""
        said = np.asarray(self._said(payload.inputs[0].as_numpy()), dtype=np.float64)
        output = kserve.InferOutput("said", list(said.shape), "FP64")
        output.set_data_from_numpy(said, binary_data=False)
        return kserve.InferResponse(payload.id or "none", self.name, infer_outputs=[output])

    def _said(self, x: Any) -> Any:
        if self._asked == "booster":
            return self._model.predict(x, num_threads=1, validate_features=False)
        said = getattr(self._model, self._asked)(x)
        if self.name != "ranking":
            return said
        best = np.argsort(-said, axis=1)[:, :LISTED]
        return np.hstack([best, np.take_along_axis(said, best, axis=1)])


def main() -> None:
    """Serve until ended."""
    folder, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    models = []
    for name, kind in json.loads(folder.joinpath("kinds.json").read_text()).items():
        file = folder / name / kind["file"]
        model = lightgbm.Booster(model_file=str(file)) if kind["asked"] == "booster" else joblib.load(file)
        models.append(Served(name, model, kind["asked"]))
    serve(models, port, workers)


if __name__ == "__main__":
    main()
