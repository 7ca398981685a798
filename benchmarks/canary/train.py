"""The training task as a script: ``python -m benchmarks.canary.train <folder> <key>`` leaves ``fitted.json`` there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.canary.home import REF
from loopline.platform_core.environment import environment_file
from loopline.platform_core.training.task import train


def main(folder: Path, key: str) -> None:
    """Train on the folder's training set."""
    pinned = json.loads(folder.joinpath("training_set.json").read_text())
    fitted = train(str(environment_file()), *REF, pinned, key, key)
    folder.joinpath("fitted.json").write_text(json.dumps(fitted))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
