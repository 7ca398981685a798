"""Broken teams beside a good one: each is told by file, line and reason, and stands in nobody's way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

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
from loopline.asset_defs import code_location
from loopline.platform_core import plugins

def load_error(name):
    try:
        return str(getattr(code_location, name))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

found = plugins.installed()
quarantined = {q.team: {"file": q.file, "line": q.line, "reason": q.reason, "text": str(q)} for q in found.quarantined}
print(json.dumps({
    "teams": [team.name for team in found.teams],
    "quarantined": quarantined,
    "errors": {name: load_error(name) for name in quarantined},
    "good": len(list(code_location.acme.resolve_all_asset_keys())),
}))
"""


@pytest.fixture(scope="module")
def path(acme, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install the broken teams, each as a distribution of its own."""
    site = tmp_path_factory.mktemp("site")
    for name, text in {**BROKEN, "absent": ""}.items():
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text(f"[loopline.teams]\n{name} = {name}_team:team\n")
        if text:
            site.joinpath(f"{name}_team.py").write_text(text)
    return os.pathsep.join([str(site), str(acme.site)])


@pytest.fixture(scope="module")
def found(acme, path: str) -> dict[str, Any]:
    """Ask a fresh interpreter what it finds."""
    return acme.json("-c", ASK, PYTHONPATH=path)


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


def test_dagster_tells_it(acme, path: str):
    """Dagster's own check of the location ends with that text."""
    names = ("-m", "loopline.asset_defs.code_location", "-a", "snapped")
    done = acme.run("-m", "dagster", "definitions", "validate", *names, PYTHONPATH=path)
    assert done.returncode == 1
    assert "snapped_team.py:4: team 'snapped' is quarantined: ZeroDivisionError" in done.stdout + done.stderr
