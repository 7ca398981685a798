"""Broken teams beside a good one: each is told by file, line and reason, and stands in nobody's way."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.acme.conftest import HERE, Outside, at_home

BROKEN = {
    "snapped": '"""Raises while it is imported."""\n\nrate = 1\nprice = 10 / (rate - 1)\n',
    "misspelt": '"""Is no Python."""\n\ndef fit(train, valid\n    return None\n',
    "stranger": '"""Calls itself otherwise."""\n\nfrom acme import stops\nfrom loopline.specs import Team\n\n'
    'team = Team("guest", __file__, models=(stops,))\n',
    "twins": '"""Has a model twice."""\n\nfrom acme import stops\nfrom loopline.specs import Team\n\n'
    'team = Team("twins", __file__, models=(stops, stops))\n',
    "leaver": '"""Ends the process that imports it."""\n\nimport sys\n\nsys.exit(3)\n',
    "plain": '"""Offers something else than a team."""\n\nteam = {"name": "plain"}\n',
}
ASK = """
import json
from click.testing import CliRunner
from dagster._cli.definitions import definitions_cli
from loopline.asset_defs import code_location
from loopline.platform_core import plugins

def load_error(name):
    try:
        return str(getattr(code_location, name))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = plugins.installed()
quarantined = {q.team: {"file": q.file, "line": q.line, "reason": q.reason, "text": str(q)} for q in found.quarantined}
checked = "validate", "-m", "loopline.asset_defs.code_location", "-a", "snapped"
told = CliRunner().invoke(definitions_cli, checked)  # as ``dagster definitions validate`` in a shell
print(json.dumps({
    "teams": [team.name for team in found.teams],
    "quarantined": quarantined,
    "errors": {name: load_error(name) for name in quarantined},
    "good": len(list(code_location.acme.resolve_all_asset_keys())),
    "dagster": (told.exit_code, told.output),
}))
"""


def distribution(site: Path, name: str, entry_points: str) -> None:
    """Let a distribution be installed that offers something."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ask a fresh interpreter what it finds, where the good team and the broken ones are distributions each."""
    folder = tmp_path_factory.mktemp("quarantine")
    site = folder / "site"
    site.mkdir()
    for source in (HERE / "team", HERE / "vendor"):
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        points = [
            line
            for group, names in project["entry-points"].items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
        ]
        distribution(site, project["name"].replace("-", "_"), "\n".join(points))
    for name, text in {**BROKEN, "absent": ""}.items():
        distribution(site, name, f"[loopline.teams]\n{name} = {name}_team:team\n")
        if text:
            site.joinpath(f"{name}_team.py").write_text(text)
    sources = os.pathsep.join(map(str, (site, HERE / "team/src", HERE / "vendor/src")))
    return Outside(site, at_home(folder)).json("-c", ASK, PYTHONPATH=sources)


@pytest.mark.parametrize(
    ("team", "line", "reason"),
    [
        ("snapped", 4, "ZeroDivisionError: division by zero"),
        ("misspelt", 3, "SyntaxError: '(' was never closed"),
        ("twins", 6, "InvalidSpec: team 'twins': model 'stops' is repeated"),
        ("leaver", 5, "SystemExit: 3"),
    ],
)
def test_file_line_and_reason(found, team: str, line: int, reason: str):
    """The line is the team's own, wherever below it the error was raised."""
    told = found["quarantined"][team]
    assert Path(told["file"]).name == f"{team}_team.py"
    assert told["line"] == line
    assert told["reason"].startswith(reason)
    assert told["text"].startswith(f"{told['file']}:{line}: team {team!r} is quarantined: {reason}")


@pytest.mark.parametrize(
    ("team", "reason"),
    [
        ("stranger", "the team calls itself 'guest'"),
        ("plain", "plain_team:team is a dict, not a Team"),
        ("absent", "ModuleNotFoundError: No module named 'absent_team'"),
    ],
)
def test_what_loads_but_is_no_team_of_that_name(found, team: str, reason: str):
    """Where no line is to blame, the entry point is named."""
    told = found["quarantined"][team]
    assert (told["file"], told["line"]) == (f"{team}_team:team", 1)
    assert told["reason"] == reason


def test_the_others_load(found):
    """Good teams are there, with their code locations."""
    assert "acme" in found["teams"]
    assert not set(found["teams"]) & set(found["quarantined"])
    assert found["good"] == 10


def test_the_load_error_is_the_quarantine_text(found):
    """What Dagster gets to see as the location's error names file, line and reason."""
    assert set(found["errors"]) == {*BROKEN, "absent"}
    for team, error in found["errors"].items():
        assert error.startswith(f"InvalidSpec: {found['quarantined'][team]['text']}")


def test_dagster_tells_it(found):
    """Dagster's own check of the location ends with that text."""
    code, told = found["dagster"]
    assert code == 1
    assert "snapped_team.py:4: team 'snapped' is quarantined: ZeroDivisionError" in told
