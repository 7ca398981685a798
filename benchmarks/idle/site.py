"""Where our side runs. It imports as little as it can: ``up`` is this very process, and its memory is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import homes
from benchmarks.homes import LAPTOP, PORT
from benchmarks.idle.spent import MODELS

if TYPE_CHECKING:
    from pathlib import Path

TEAM = "shops"


def enter(home: Path, models: int, port: int) -> None:
    """Put this process and its children into a home, with the team installed."""
    environment = home / "laptop.yaml"
    home.mkdir(parents=True, exist_ok=True)
    environment.write_text(LAPTOP.read_text().replace("../prices", str(LAPTOP.parents[1] / "prices")))
    variables = {PORT: str(port), MODELS: str(models)}
    homes.enter(home, TEAM, "benchmarks.idle.shops:team", environment, **variables)
