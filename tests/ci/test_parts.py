"""Parts of CI: failed tests run once more, hanging ones are ended, and the clock fails nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.ci import parts
from scripts.ci.parts import Part, run_command, run_tests

BY_CHANCE = """
from pathlib import Path
def test_chance(seen=Path(__file__).with_name("seen")):
    first = not seen.exists()
    seen.touch()
    assert not first
def test_good():
    pass
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a function that runs a file of tests as a part of CI."""
    monkeypatch.setattr(parts, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(parts, "GRACE_SECONDS", 10)

    def command(more: Sequence[str]) -> list[str]:
        files = [str(tmp_path / one) for one in more if one.endswith(".py")] or [str(tmp_path)]
        words = ["env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", sys.executable, "-m", "pytest", "-q", "-c", "/dev/null"]
        return [*words, "--rootdir", str(tmp_path), *files, *(one for one in more if not one.endswith(".py"))]

    def ask(text: str, seconds: float = 60, words: Sequence[str] = ()) -> Part:
        (tmp_path / "test_file.py").write_text(text)
        return run_tests("part", lambda more: [*command(more), *words], command, time.monotonic() + seconds)

    return ask


def test_what_passes_the_second_time_is_named_and_not_red(asked) -> None:
    """A chance is told, and fails nobody."""
    part = asked(BY_CHANCE)
    assert (part.retried, part.failed, part.is_red) == (["test_file.py::test_chance"], [], False)
    assert part.passed == 2


def test_the_whole_file_runs_again(asked) -> None:
    """A test may rest on an earlier one of its file; what fails only then is told as well, and not red."""
    once = """
def test_only_once(seen=Path(__file__).with_name("once")):
    assert not seen.exists()
    seen.touch()
"""
    part = asked(BY_CHANCE + once)
    assert (part.retried, part.late) == (["test_file.py::test_chance"], ["test_file.py::test_only_once"])
    assert not part.is_red


def test_what_fails_twice_is_red(asked) -> None:
    """And it alone is named."""
    part = asked("def test_bad():\n    assert False\ndef test_good():\n    pass\n")
    assert (part.failed, part.retried, part.passed) == (["test_file.py::test_bad"], [], 1)


def test_many_failures_are_no_chance(asked) -> None:
    """They are not asked once more."""
    many = f"import pytest\n@pytest.mark.parametrize('n', range({parts.MOST_RETRIED + 1}))\n"
    part = asked(f"{many}def test_bad(n):\n    assert False\n")
    assert len(part.failed) == parts.MOST_RETRIED + 1


def test_a_file_that_cannot_be_read_is_red(asked, capfd) -> None:
    """An error of collection is a failure of the file, and of the tests that did not run for it; it is no chance."""
    part = asked("import nothing_like_it\n")
    assert part.is_red
    assert part.failed == ["part (pytest ended with exit code 2)", "test_file.py"]
    assert "once more" not in capfd.readouterr().out


BROKEN = """
import pytest
from pathlib import Path

class Broken:
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        seen = Path(__file__).with_name("broken")
        if nextitem is None and not seen.exists():
            {keep}
            raise RuntimeError("a plugin is broken")
        return (yield)

@pytest.fixture(autouse=True, scope="session")
def broken(request):
    request.config.pluginmanager.register(Broken())

def test_first(seen=Path(__file__).with_name("seen")):
    assert {holds}
    seen.touch()
def test_last():
    pass
"""


def test_all_run_once_more_where_pytest_itself_failed(asked, capfd) -> None:
    """Tests after the error have not run; why is told, with its cause, and once more is told at the end."""
    part = asked(BROKEN.format(keep="seen.touch()", holds="True"))
    why = "part (pytest ended with exit code 3): RuntimeError: a plugin is broken"
    assert (part.retried, part.failed, part.passed) == ([why], [], 2)
    assert "in pytest_runtest_protocol" in capfd.readouterr().out.partition(f"== {why}: once more")[2]


def test_pytest_that_fails_twice_is_red(asked) -> None:
    """It is never green for what did not run, also where a test failed before and passes when it is asked again."""
    part = asked(BROKEN.format(keep="pass", holds="seen.exists() or seen.touch()"))
    why = "part (pytest ended with exit code 3): RuntimeError: a plugin is broken"
    assert (part.failed, part.is_red) == ([why], True)


def test_what_stopped_at_its_failures_is_red_at_once(asked, capfd) -> None:
    """The others have not run, so that nothing that passes when it is asked again makes it green."""
    part = asked(BY_CHANCE, words=("-p", "xdist", "-n", "1", "--maxfail=1"))
    assert part.failed == ["part (pytest ended with exit code 2)", "test_file.py::test_chance"]
    assert (part.retried, "once more" in capfd.readouterr().out) == ([], False)


def test_what_runs_out_of_time_is_ended_and_not_red(asked) -> None:
    """Its processes are gone, and the part says that it was cut."""
    began = time.monotonic()
    part = asked("import time\ndef test_good():\n    pass\ndef test_long():\n    time.sleep(600)\n", seconds=4)
    assert (part.cut, part.is_red) == (True, False)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("code", "again", "red"), [("0", True, False), ("3", True, True), ("3", False, True)])
def test_a_command_is_red_by_its_exit_code(code: str, again: bool, red: bool) -> None:
    """With another try, or without."""
    part = run_command("demo", [sys.executable, "-c", f"exit({code})"], time.monotonic() + 30, again=again)
    assert part.is_red is red
    assert part.retried == []


def test_a_command_that_passes_the_second_time_is_named(tmp_path: Path) -> None:
    """As a test is."""
    program: Sequence[str] = ["bash", "-c", f"test -e {tmp_path}/seen || (touch {tmp_path}/seen; exit 7)"]
    part = run_command("demo", program, time.monotonic() + 30, again=True)
    assert (part.retried, part.is_red) == (["demo (exit code 7)"], False)


def test_a_command_that_failed_and_has_no_time_for_another_try_is_red(tmp_path: Path) -> None:
    """As a failed test is."""
    program: Sequence[str] = ["bash", "-c", f"test -e {tmp_path}/seen && sleep 600; touch {tmp_path}/seen; exit 7"]
    part = run_command("demo", program, time.monotonic() + 5, again=True)
    assert part.failed == ["demo (exit code 7)"]


def test_a_command_without_time_does_not_begin(tmp_path: Path) -> None:
    """It is cut, and not red."""
    part = run_command("demo", ["touch", str(tmp_path / "begun")], time.monotonic() - 1, again=True)
    assert (part.cut, part.is_red, (tmp_path / "begun").exists()) == (True, False, False)
