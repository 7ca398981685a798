"""MLServer with its own runtimes and a model of each kind.

``python -m benchmarks.peers.serve_mlserver_kinds FOLDER PORT WORKERS``; settings are those of ``serve_mlserver``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks.peers.serve_mlserver import server, write


def main() -> None:
    """Write the settings, then become the server."""
    folder, port, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    settings = folder / f"mlserver-{port}"
    write(settings / "settings.json", server(settings, port, workers))
    for name, kind in json.loads(folder.joinpath("kinds.json").read_text()).items():
        is_booster = kind["asked"] == "booster"
        runtime = "mlserver_lightgbm.LightGBMModel" if is_booster else "mlserver_sklearn.SKLearnModel"
        more = {} if is_booster else {"extra": {"predict_fn": kind["asked"]}}
        parameters = {"uri": str(folder / name / kind["file"]), "version": "1", **more}
        said = {"name": name, "implementation": runtime, "parameters": parameters}
        write(settings / name / "model-settings.json", said)
    os.chdir(settings)
    program = str(Path(sys.executable).parent / "mlserver")
    os.execv(program, [program, "start", str(settings)])


if __name__ == "__main__":
    main()
