"""MLflow's own server behind our guard: ``python -m loopline.resources.mlflow.interface``, with its own options.

It runs without MLflow's jobs: five processes more, which would ask their own server and have no session.
"""

from __future__ import annotations

import os
import sys

from loopline.resources.mlflow.registry import QUIET

APP = "loopline"
"""Its entry point among ``mlflow.app``."""
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main() -> None:
    """Serve until told to stop."""
    for name, value in {**QUIET, **_LEAN}.items():
        os.environ.setdefault(name, value)
    from mlflow.cli import cli

    cli(["server", "--app-name", APP, *sys.argv[1:]])


if __name__ == "__main__":
    main()
