"""Pages as things to do: files to write, and commands to type into a shell."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path

import pytest

from loopline.up.ports import free_port

ROOT = Path(__file__).parents[2]
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
"""What pip is built with is installed already; of an option that begins with "no", false means: do not."""
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r"# (?P<path>[\w./-]+\.\w+)\n")
MARK = "-- done --"
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "<time>"),
    (re.compile(r"-\d{8}T\d{4}-[0-9a-f]{8}"), "-<id>"),
    (re.compile(r"\d+\.\d+(e-\d+)?(?![.\d])|\d+,\d{3}|\d{3,}"), "<number>"),
]
"""What no two runs have in common; small whole numbers, such as versions and percents, are compared."""


class Shell:
    """One bash for a whole page, so that variables, folders and background jobs go on."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def type(self, line: str) -> tuple[str, int]:
        """Run a line; gives what it printed, and its exit code."""
        self.process.stdin.write(f"{line}\nprintf '\\n{MARK} %s\\n' $?\n")
        self.process.stdin.flush()
        said = ""
        while not (last := self.process.stdout.readline()).startswith(MARK):
            assert last, f"the shell ended: {said}"
            said += last
        return said.removesuffix("\n"), int(last.removeprefix(MARK))

    def end(self) -> None:
        """End whatever still runs; what does not leave when asked is killed."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, signum)
                self.process.wait(10)


@dataclass(frozen=True)
class File:
    """A block whose first line names the file that it is."""

    path: str
    text: str

    def take(self, shell: Shell) -> None:
        """Write it."""
        shell.folder.joinpath(self.path).parent.mkdir(parents=True, exist_ok=True)
        shell.folder.joinpath(self.path).write_text(self.text, encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """A line after ``$``, and the output that the page shows; ``...`` is what is left out, which may be nothing."""

    line: str
    output: str

    def take(self, shell: Shell) -> None:
        """Type it and compare what it prints."""
        said, code = shell.type(self.line)
        assert code == 0, f"$ {self.line}\nended with {code}: {said}"
        wanted = re.sub(r"\s*\.\.\.\s*", "...", _lasting(self.output))
        alike = OutputChecker().check_output(wanted, _lasting(said), ELLIPSIS | NORMALIZE_WHITESPACE)
        assert alike, f"$ {self.line}\n-- the page says\n{self.output}-- it printed\n{said}"


Step = File | Command


@pytest.fixture
def steps() -> Callable[[str], Iterator[Step]]:
    """Give a function that reads a page's files and commands in order; other blocks are prose."""

    def read(text: str) -> Iterator[Step]:
        for fence in FENCE.finditer(text):
            title = TITLE.match(fence["text"])
            if fence["language"] == "console":
                yield from _commands(fence["text"])
            elif title:
                yield File(title["path"], fence["text"])

    return read


@pytest.fixture
def open_shell() -> Iterator[Callable[[Path, dict[str, str]], Shell]]:
    """Give a function that opens a shell in a folder; every shell is ended."""
    opened: list[Shell] = []

    def make(folder: Path, variables: dict[str, str]) -> Shell:
        opened.append(Shell(folder, variables))
        return opened[-1]

    yield make
    for shell in opened:
        shell.end()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return what the reader needs of the repository: the environment files."""
    shutil.copytree(ROOT / "deploy", tmp_path / "clone" / "deploy")
    return tmp_path / "clone"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Return a reader's variables, with a venv that has all that this one has and keeps what the page installs."""
    home, own = tmp_path / "venv", Path(sysconfig.get_path("purelib"))
    venv.create(home, symlinks=True)
    site = home / own.relative_to(sys.prefix)
    site.joinpath("parent.pth").write_text(f"import site; site.addsitedir({str(own)!r})\n")
    for name, module in (("loopline", "loopline.cli"), ("pip", "pip._internal.cli.main")):
        script = home / "bin" / name
        script.write_text(f"#!{home}/bin/python\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    ours = ("LOOPLINE", "PYTHON", "DAGSTER", "PIP")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | OFFLINE | {"PATH": f"{home}/bin{os.pathsep}{kept['PATH']}", "VIRTUAL_ENV": str(home)}


@pytest.fixture
def done(
    steps: Callable[[str], Iterator[Step]],
    open_shell: Callable[[Path, dict[str, str]], Shell],
    clone: Path,
    variables: dict[str, str],
) -> Callable[[str], None]:
    """Give a function that does a page from an empty folder; only the ports are this machine's."""

    def do(page: str) -> None:
        inference, web = free_port(), free_port(3100)
        text = (ROOT / "docs" / page).read_text(encoding="utf-8").replace("127.0.0.1:8080", f"127.0.0.1:{inference}")
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{web}").replace(
            "loopline up >", f"loopline up --port {web} >"
        )
        shell = open_shell(clone, variables | {"LOOPLINE_INFERENCE_PORT": str(inference)})
        for step in steps(text):
            step.take(shell)

    return do


def _lasting(text: str) -> str:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


def _commands(text: str) -> Iterator[Command]:
    first, *others = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not first.strip(), f"output before any command: {first}"
    for other in others:
        line, _, output = other.partition("\n")
        yield Command(line, output)
