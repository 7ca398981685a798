"""A home of a benchmark: a folder with the state of an installation, and a team that only its processes see."""

from __future__ import annotations

import os
import sys
from pathlib import Path

LAPTOP = Path(__file__).parents[1] / "deploy" / "environments" / "laptop.yaml"
PORT = "LOOPLINE_INFERENCE_PORT"


def enter(home: Path, team: str, where: str, environment: Path, **variables: str) -> None:
    """Put this process and its children into a home, with a team installed.

    ``where`` is the team's entry point, ``environment`` the file that is in force, already written.
    """
    site = home / "site"
    info = site / f"{team}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {team}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(f"[loopline.teams]\n{team} = {where}\n")
    places = [str(Path(__file__).parents[1]), str(site)]
    sys.path[:0] = places
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(places),
        "LOOPLINE_HOME": str(home),
        "LOOPLINE_ENVIRONMENT": str(environment),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        **variables,
    }
