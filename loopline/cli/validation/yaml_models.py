"""Validation check of a team's YAML models, found without importing its package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loopline.cli.validation.problems import Problem
from loopline.platform_core.environment import sites
from loopline.platform_core.foundation.distributions import entry_points
from loopline.platform_core.plugins import TEAMS

COMPONENT = "LooplineModel"
FIELDS = frozenset({"features", "labels", "fit"})
"""A document with these at its top is a model, whatever the file is called."""
FIX = "see loopline.platform_core.specs.yaml_files.model_file for the fields of a model"


def check_yaml(team: str) -> Iterator[Problem]:
    """Check every YAML model in the package of a team, also of one that does not load."""
    from loopline.platform_core.specs.yaml_files import model_file

    for path in model_files(team):
        for found in model_file.problems(path):
            yield Problem(f"{found.file}:{found.line}", found.field, found.message, FIX)


def model_files(team: str) -> Iterator[Path]:
    """Yield the files of a team's package that hold a model."""
    for folder in _folders(team):
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
            if _holds_model(path):
                yield path


def _folders(team: str) -> Iterator[Path]:
    base = sites().base(team)
    for point in entry_points(group=TEAMS):
        spec = find_spec(point.module.partition(".")[0]) if point.name == base else None
        if spec is not None and spec.submodule_search_locations:
            yield Path(spec.submodule_search_locations[0])


def _holds_model(path: Path) -> bool:
    import yaml

    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return path.name.startswith("defs.")  # what cannot be read may be a model: its problem is told
    if not isinstance(data, dict):
        return False
    return str(data.get("type", "")).endswith(COMPONENT) or data.keys() >= FIELDS
