"""What runs at GitHub is what runs here: make's targets, the groups of the tests, folders that are there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.groups import GROUPS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", ROOT.joinpath("Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def jobs(workflow: Path) -> dict[str, Any]:
    """Return the jobs of a workflow by id."""
    found: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return found


def commands(workflow: Path) -> list[str]:
    """Return what a workflow's steps run."""
    return [step["run"] for job in jobs(workflow).values() for step in job["steps"] if "run" in step]


def test_pull_requests_run_what_ci_runs() -> None:
    """Each by the command that people use."""
    made = [command for command in commands(ROOT / ".github/workflows/ci.yml") if command.startswith("make ")]
    assert made == ["make check", "make docs", "make test", "make demo"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_targets_and_jobs_are_there(workflow: Path) -> None:
    """Every target is the Makefile's, and every job that is waited for is in the file."""
    made = [shlex.split(one)[1] for one in commands(workflow) if one.startswith("make ")]
    assert made
    assert set(made) <= TARGETS
    for job in jobs(workflow).values():
        needed = job.get("needs", [])
        assert set([needed] if isinstance(needed, str) else needed) <= jobs(workflow).keys()


def test_the_night_runs_every_group() -> None:
    """The workflow's own line names the groups, and needs nothing that would be installed first."""
    (line,) = [step["run"] for step in jobs(ROOT / ".github/workflows/nightly.yml")["groups"]["steps"] if "run" in step]
    _, _, code, to, _ = shlex.split(line)
    assert to == ">>"
    said = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    name, _, groups = said.stdout.partition("=")
    assert name == "names"
    assert json.loads(groups) == [*GROUPS]


def test_owners_are_roles_of_what_is_there() -> None:
    """A line for a folder that was renamed would leave it to those of the line above."""
    lines = ROOT.joinpath(".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    owners = dict(line.split() for line in lines if line and not line.startswith("#"))
    assert [path for path in owners if path != "*" and not ROOT.joinpath(path.lstrip("/")).exists()] == []
    assert [owner for owner in owners.values() if not re.fullmatch(r"@loopline/[a-z]+", owner)] == []
