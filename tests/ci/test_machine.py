"""What a machine lacks is skipped and told; where CI runs, it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
import subprocess
from tests.machine import needs

@pytest.fixture
def server():
    return needs("redis-server", among="/nowhere/*/redis-server")

def test_with_a_server(server):
    pass

def test_that_starts_a_program():
    subprocess.run(["curl", "http://127.0.0.1"])

def test_that_misses_a_file_of_its_own():
    open("not-there")

def test_that_needs_nothing():
    pass
"""


def run(folder: Path, **more: str) -> str:
    """Run them in a process that finds no program."""
    folder.joinpath("test_it.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.machine",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        folder,
        folder,
    ]
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST")}
    environment = {**kept, "PATH": str(folder), "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def test_one_line_says_what_is_lacking(tmp_path: Path) -> None:
    """A fixture's server and a test's own program are skipped, a missing file is a failure."""
    said = run(tmp_path)
    assert "2 tests did not run: this machine lacks redis-server (1), curl (1)" in said
    assert "1 failed, 1 passed, 2 skipped" in said


def test_where_ci_runs_nothing_is_left_out(tmp_path: Path) -> None:
    """Each fails, and says what would bring the program."""
    said = run(tmp_path, CI="true")
    assert "2 failed, 1 passed, 1 error" in said
    assert "needs curl, which comes with curl" in said
