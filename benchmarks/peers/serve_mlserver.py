"""MLServer with its own runtimes: ``python -m benchmarks.peers.serve_mlserver FOLDER PORT WORKERS``.

One worker answers in the server's own process (``parallel_workers: 0``), which its documentation advises for small
models; two are processes beside it. The log of requests is off, which is kind to it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.serving.data import BOOSTED, FILES, PIPELINE

RUNTIMES = {BOOSTED: "mlserver_lightgbm.LightGBMModel", PIPELINE: "mlserver_sklearn.SKLearnModel"}


def main() -> None:
    """Write the settings, then become the server."""
    folder, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    settings = folder / f"mlserver-{port}"
    write(settings / "settings.json", server(settings, port, workers))
    for name, runtime in RUNTIMES.items():
        more = {"extra": {"predict_fn": "predict_proba"}} if name == PIPELINE else {}
        parameters = {"uri": str(folder / name / FILES[name]), "version": "1", **more}
        write(
            settings / name / "model-settings.json",
            {"name": name, "implementation": runtime} | {"parameters": parameters},
        )
    os.chdir(settings)
    program = str(Path(sys.executable).parent / "mlserver")
    os.execv(program, [program, "start", str(settings)])


def server(settings: Path, port: int, workers: int) -> dict[str, Any]:
    """Return the server's own settings."""
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    return ports | {
        "host": "127.0.0.1",
        "debug": False,
        "parallel_workers": workers if workers > 1 else 0,
        "metrics_dir": str(settings / "metrics"),
    }


def write(file: Path, value: dict[str, Any]) -> None:
    """Write settings, and the folder that they lie in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


if __name__ == "__main__":
    main()
