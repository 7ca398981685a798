"""An endpoint's container: what it starts again, what ends it, and how the environment file comes into it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_endpoints import container
from loopline.resources.managed_endpoints.container import Program
from loopline.resources.managed_endpoints.environment_text import land, packed
from loopline.resources.managed_endpoints.names import endpoint_name
from tests.waiting import until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(600)  # until it is killed
"""


def long_text():
    """Make a text that does not fit one variable, packed as it may be."""
    return "".join(f"{os.urandom(16).hex()}: ü\n" for _ in range(200))


@pytest.mark.parametrize("text", ["", "name: x\n", long_text()])
def test_a_text_travels_in_variables(tmp_path, text):
    """It comes out as it went in, and no variable is longer than a service takes."""
    variables = packed(text)
    assert max(map(len, variables.values())) <= 1000
    assert land({**variables, "HOME": "/tmp"}, tmp_path / "below" / "file").read_text(encoding="utf-8") == text


def test_a_text_that_is_not_whole_is_refused(tmp_path):
    """No variable, one that is missing in between, or one that somebody changed: nothing is written."""
    whole = packed(long_text())
    first, second, *_ = whole
    gap = {name: value for name, value in whole.items() if name != second}
    for variables in ({}, gap, {**whole, first: "!" + whole[first][1:]}, {**whole, second: whole[first]}):
        with pytest.raises(InvalidEnvironment, match="LOOPLINE_ENVIRONMENT_TEXT_0"):
            land(variables, tmp_path / "file")
    assert not tmp_path.joinpath("file").exists()


@pytest.mark.parametrize(
    "text", [None, "bindings: {}\n", "bindings: {serving: {vendor: nobody}}\n", "bindings:\n  serving: [\n"]
)
def test_a_container_without_what_it_needs_says_so_and_ends(tmp_path, monkeypatch, capfd, text):
    """Its log, which the service keeps, holds problem and fix, and no traceback; one of them as the program it is."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"LOOPLINE_HOME": str(tmp_path), **(packed(text) if text else {})}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", container.__name__, "serve"]
    code = container.main() if text else subprocess.run(command, timeout=120, check=False).returncode
    said = capfd.readouterr().err
    assert code == 2, said
    assert "→" in said
    assert "Traceback" not in said


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Start modules of this test's own; none is left."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    started = []

    def start(name, code):
        tmp_path.joinpath(f"{name}.py").write_text(code)
        started.append(Program(name))
        return started[-1]

    yield start
    for one in started:
        one.end(0)


def test_what_fell_is_started_again_a_moment_later(programs, monkeypatch, tmp_path):
    """Not at once, so that one that cannot start does not fill the log."""
    monkeypatch.setattr(container, "_AGAIN_SECONDS", 0.3)
    program = programs("falls", "open('starts', 'a').write('x')\nraise SystemExit(3)\n")
    until(lambda: program.code is not None)
    program.keep_up()
    program.keep_up()
    assert (program.code, tmp_path.joinpath("starts").read_text()) == (3, "x")
    until(lambda: program.keep_up() or len(tmp_path.joinpath("starts").read_text()) > 1)


def test_what_does_not_end_is_killed(programs, tmp_path):
    """After its time, and so before the service kills all of them."""
    program = programs("stubborn", STUBBORN)
    until(tmp_path.joinpath("ready").exists)
    program.keep_up()
    begun = time.monotonic()
    program.end(0.2)
    assert program.code == -9
    assert time.monotonic() - begun < 10


def test_names():
    """Letters, digits and dashes, short enough for a plan's, and of different groups different."""
    groups = ["retail.churn", "retail-churn", "retail_churn", "retail", "r" * 200, "r" * 201, "."]
    names = [endpoint_name("loopline", group) for group in groups]
    assert len(set(names)) == len(groups)
    assert all(len(name) <= 63 - 13 - 1 for name in names)
    assert names[3] == "loopline-retail"
