"""What commands say: text for people, one JSON object for programs, errors with problem and fix."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from loopline.cli.output import as_json, cell, plain, table
from loopline.platform_core.foundation.names import ModelRef


def test_plain_makes_json_of_what_the_platform_holds():
    """Times, paths, references, tuples and what is no number become what JSON can hold."""
    value = {
        "at": datetime(2011, 3, 1, tzinfo=UTC),
        "path": Path("/x"),
        "model": ModelRef("a", "b"),
        "many": (1, 2.5, None, True),
        "nan": float("nan"),
    }
    assert json.loads(json.dumps(plain(value))) == {
        "at": "2011-03-01T00:00:00+00:00",
        "path": "/x",
        "model": "a/b",
        "many": [1, 2.5, None, True],
        "nan": None,
    }


def test_table_aligns_columns():
    """Columns stand under their headers, and nothing is written as a dash."""
    assert table([("a", None), ("long", 0.123456)], ("x", "y")) == "x     y\na     -\nlong  0.1235"
    assert cell(True) == "yes"


def test_a_wrong_call_that_wants_json_is_known():
    """A call that cannot be parsed is still answered in the form it asks for."""
    assert as_json(["x", "--output", "json"])
    assert as_json(["--output=json"])
    assert not as_json(["--output", "text", "json"])


@pytest.mark.parametrize("call", [["status"], ["up"], ["signing", "init"]])
def test_a_home_in_which_nothing_can_be_kept_is_told(world, tmp_path, call):
    """It is nobody's defect; with what to do."""
    tmp_path.joinpath("file").touch()
    said = world.json(*call, "--home", str(tmp_path / "file" / "home"), code=1)
    assert said["error"] == "InvalidEnvironment"
    assert said["problem"].startswith("nothing can be kept in ")
    assert "/file/home: Not a directory" in said["problem"]
    assert "--home" in said["fix"]


def test_an_error_is_two_lines_on_stderr_or_one_object(world):
    """A problem and its fix, nothing on stdout, exit code 1; a missing argument ends with 2. JSON where asked for."""
    result = world.run("history", "nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    problem, fix = result.stderr.splitlines()
    assert problem == "problem  no team has a model 'nothing'"
    assert fix.startswith("fix      use one of")
    assert "corner/returns" in fix
    said = world.json("history", "nothing", code=1)
    assert (said["error"], said["problem"]) == ("NotFound", "no team has a model 'nothing'")
    assert "corner/returns" in said["fix"]
    assert world.run("history").exit_code == 2
    said = world.json("history", code=2)
    assert said["error"] == "Usage"
    assert "MODEL" in said["problem"]


def test_a_defect_shows_its_traceback_only_with_debug(world):
    """An error that is not ours names --debug; with it, the traceback comes."""
    world.environment.write_text("name: [")  # no YAML
    assert world.json("model", "status", code=1)["error"] == "InvalidSpec"
    world.home.parent.joinpath("file").write_text("")
    broken = ("workspace", "--write", str(world.home.parent / "file" / "below"))
    result = world.run(*broken)
    assert result.exit_code == 1
    assert "NotADirectoryError" in result.stderr
    assert "--debug" in result.stderr
    assert isinstance(world.run(*broken, "--debug").exception, NotADirectoryError)


def test_home_and_environment_may_be_given(world, tmp_path):
    """--home and --environment win over the variables."""
    said = world.json("model", "status", "returns", "--home", str(tmp_path / "other"))
    assert said["models"][0]["stable"] is None
    assert (tmp_path / "other" / "ledger.db").exists()
    assert not (world.home / "ledger.db").exists()


def test_every_command_is_listed_and_imports(world):
    """Every command that the help lists can be imported, and shows its own help."""
    from loopline.cli import COMMANDS

    assert world.run("--help").exit_code == 0
    assert "Commands:" in world.run("--home", "x").output, "shared options alone show what there is"
    for name in COMMANDS:
        result = world.run(name, "--help")
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mdel"], "No such command 'mdel'. Did you mean 'model'?"),
        (["model", "statsu"], "No such command 'statsu'. Did you mean 'status'?"),
        (["qqqq"], "No such command 'qqqq'. See --help for all."),
    ],
)
def test_a_misspelt_command_is_told_what_looks_like_it(world, words, told):
    """At every level."""
    done = world.run(*words)
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--home", "{home}", "--output", "json", "cycle", "list", "corner/returns"],
        ["--home={home}", "--output=json", "alarms", "list"],
        ["model", "status", "--home", "{home}", "--output", "json"],
        ["--debug", "--output", "json", "model", "--home", "{home}", "status"],
    ],
)
def test_shared_options_may_stand_before_the_command(world, words, tmp_path, monkeypatch):
    """As people of other tools expect it; they mean the same there."""
    monkeypatch.delenv("LOOPLINE_HOME")
    monkeypatch.chdir(tmp_path)
    done = world.run(*(word.format(home=tmp_path / "other") for word in words))
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    assert (tmp_path / "other").exists()
    assert not (tmp_path / ".loopline").exists()


VERSION = """
import contextlib, sys
from loopline.cli import loopline
with contextlib.suppress(SystemExit):
    loopline.main(["--version"])
print(*sorted({"dagster", "mlflow", "numpy", "pydantic", "rich"} & sys.modules.keys()), file=sys.stderr)
"""


def test_the_version_names_what_it_runs_on():
    """Each as it is installed, one a line; no library is imported for that."""
    done = subprocess.run([sys.executable, "-c", VERSION], capture_output=True, text=True, check=True)
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    installed = {name: version(name) for name in ("loopline", "dagster", "mlflow-skinny", "mlflow")}
    assert installed.items() <= told.items()
    assert told.keys() == {*installed, "python", "platform"}
    assert told["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert done.stderr.strip() == ""
