"""``mlflow models serve`` on one model: ``python -m benchmarks.serving.mlflow_side FOLDER PORT WORKERS MODEL``.

It serves one model a server. It runs in our environment, which has the same MLflow.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import joblib
import lightgbm

from benchmarks.serving.data import BOOSTED, FILES


def main() -> None:
    """Save the model as MLflow does, then become the server."""
    import mlflow

    folder, port, workers, model = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    saved, file = folder / "mlflow" / model, folder / model / FILES[model]
    shutil.rmtree(saved, ignore_errors=True)
    if model == BOOSTED:
        mlflow.lightgbm.save_model(lightgbm.Booster(model_file=str(file)), saved, pip_requirements=["lightgbm"])
    else:
        mlflow.sklearn.save_model(
            joblib.load(file),
            saved,
            pip_requirements=["scikit-learn"],
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
        )
    scripts = Path(sys.executable).parent
    os.environ["PATH"] = f"{scripts}{os.pathsep}{os.environ['PATH']}"  # it starts uvicorn by its name
    asked = [
        "models",
        "serve",
        "-m",
        str(saved),
        "--env-manager",
        "local",
        "-p",
        port,
        "-h",
        "127.0.0.1",
        "-w",
        workers,
    ]
    os.execv(scripts / "mlflow", [str(scripts / "mlflow"), *asked])


if __name__ == "__main__":
    main()
