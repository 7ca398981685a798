"""A team's package is small: all that it has to write in Python for its models, and what is imported for it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from loopline.platform_core import plugins

LINES = 150
"""What a team may need; docstrings, comments and empty lines not counted, nor the story that only the demo tells."""
TEAMS = sorted(Path(__file__).parents[2].glob("plugins/*/src/*"))


def statements(path: Path) -> int:
    """Count lines of code."""
    text = path.read_text()
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for i, line in lines if i not in told and line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("team", TEAMS, ids=lambda team: team.name)
def test_a_team_is_small(team: Path) -> None:
    """What a second kind of model adds to the retail team, in a file of its own, is half of that at most."""
    lines = {path.name: statements(path) for path in team.rglob("*.py") if path.name != "story.py"}
    assert lines.pop("value.py", 0) <= LINES // 2
    assert 20 < sum(lines.values()) <= LINES + (team.name == "retail")  # the line that imports the second


MODELS = {
    "catalogue": ["departments"],
    "demand": ["pieces"],
    "discovery": ["articles"],
    "retail": ["cancellations", "value", "repeat_orders"],  # the last one is a YAML file
    "vision": ["digits"],
}
HEAVY = {"dagster", "deltalake", "evidently", "lightgbm", "loopline.demo", "loopline.resources", "mlflow", "pandas"}
HEAVY |= {"polars", "sklearn", *(f"loopline.platform_core.{each}" for each in ("contracts", "loop", "runtime"))}
HEAVY.add("loopline.platform_core.training")
IMPORTED = """
import importlib, json, sys
told = {}
for team in sys.argv[1:]:
    before = set(sys.modules)
    importlib.import_module(team)
    told[team] = sorted(set(sys.modules) - before)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Import one team after the other in a fresh interpreter; gives what came along with each."""
    command = [sys.executable, "-c", IMPORTED, *MODELS]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("team", MODELS)
def test_a_team_is_found_and_imports_declarations_only(team: str, imported: dict[str, list[str]]) -> None:
    """No vendor, nothing heavy and no part of the platform but the declarations comes along before it is needed."""
    found = plugins.installed(only=[team])
    assert found.quarantined == ()
    assert [model.name for model in found.teams[0].models] == MODELS[team]
    assert set(imported[team]) & HEAVY == set()
