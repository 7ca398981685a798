"""Run MLflow's server with our guard: ``python -m loopline.resources.mlflow.interface``, with its own options.

Without ``--backend-store-uri`` it serves the registry of the environment file in force, and no argument holds a
password. It runs without MLflow's jobs: five processes more, which would ask their own server and have no session.
"""

from __future__ import annotations

import argparse
import os
from typing import cast

from loopline.platform_core import environment
from loopline.resources.mlflow.registry import QUIET, MlflowRegistry, connected

APP = "loopline"
"""Its entry point among ``mlflow.app``."""
STORE = "MLFLOW_BACKEND_STORE_URI"
"""MLflow's own variable for ``--backend-store-uri``."""
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main() -> None:
    """Serve until told to stop."""
    for name, value in {**QUIET, **_LEAN}.items():
        os.environ.setdefault(name, value)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--backend-store-uri", default=os.environ.get(STORE))
    given, others = parser.parse_known_args()
    os.environ[STORE] = given.backend_store_uri or _bound().database
    connected(os.environ[STORE])  # it would make the tables itself, beside others who do
    from mlflow.cli import cli

    cli(["server", "--app-name", APP, *others])


def _bound() -> MlflowRegistry:
    return cast("MlflowRegistry", environment.read(only=("registry",)).bindings["registry"])


if __name__ == "__main__":
    main()
