"""Files of tenants that have an account of this machine each: what one process tries on another tenant's folder.

On one machine under one account nothing keeps files apart: the account is what does, so these tests need root.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from tests.tenants.world import ACCOUNTS, IS_ROOT, World
from tests.waiting import until

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="only root can be two accounts")
Act = Callable[[Path, Path], object]
"""Given the own folder and the folder that is tried; it comes about unless it raises, or returns what is false."""
ATTEMPTS: dict[str, Act] = {
    "list the folder": lambda _, of: list(of.iterdir()),
    "read the environment file": lambda _, of: (of / "environment.yaml").read_text(),
    "list the secrets": lambda _, of: list((of / "secrets").iterdir()),
    "read a secret": lambda _, of: (of / "secrets/database").read_text(),
    "list the home": lambda _, of: list((of / "home").iterdir()),
    "read a file of the home": lambda _, of: (of / "home/kept").read_text(),
    "read it by a path that turns back": lambda own, of: (own / ".." / of.name / "home/kept").read_text(),
    "write into the home": lambda _, of: (of / "home/new").write_text("mine"),
    "append to a file": lambda _, of: (of / "home/kept").open("a").write("mine"),
    "truncate a file": lambda _, of: os.truncate(of / "home/kept", 4) or True,
    "replace a file": lambda _, of: _replaced(of / "home/kept"),
    "rename a file": lambda _, of: _renamed(of / "home/kept"),
    "delete a file": lambda _, of: _removed(of / "home/spare"),
    "make a folder": lambda _, of: (of / "home/folder").mkdir(exist_ok=True) or True,
    "change what may be read": lambda _, of: (of / "home/kept").chmod(0o600) or True,
    "open it to all": lambda _, of: (of / "home").chmod(0o700) or True,
    "change its times": lambda _, of: os.utime(of / "home/kept") or True,
    "link to it and read": lambda own, of: _linked(own, of / "home/kept", Path.symlink_to),
    "give it another name": lambda own, of: _linked(own, of / "home/kept", Path.hardlink_to),
    "link to the folder": lambda own, of: _linked(own, of / "home", Path.symlink_to, "kept"),
    "walk into it": lambda _, of: os.chdir(of / "home") or True,
    "watch what it is": lambda _, of: (of / "home/kept").stat(),
    "see how large its lake is": lambda _, of: sum(file.stat().st_size for file in (of / "home").rglob("*")),
    "read the environment of its process": lambda _, of: _of_process(of, "environ"),
    "read the memory map of its process": lambda _, of: _of_process(of, "maps"),
    "list the files of its process": lambda _, of: list(Path(f"/proc/{_process(of)}/fd").iterdir()),
    "walk into its process's folder": lambda _, of: list(Path(f"/proc/{_process(of)}/cwd").iterdir()),
    "end its process": lambda _, of: os.kill(int(_process(of)), 0) or True,
    "give its process less": lambda _, of: os.setpriority(os.PRIO_PROCESS, int(_process(of)), 19) or True,
}
NOBODYS: dict[str, Act] = {
    "list the operator's folder": lambda own, _: list((own.parent / ".operator").iterdir()),
    "read the operator's record": lambda own, _: (own.parent / ".operator/record.jsonl").read_text(),
    "read another's state": lambda own, _: (own.parent / f".operator/{THEIRS}.json").read_text(),
    "list who there is": lambda own, _: list(own.parent.iterdir()),
    "read the operator's secrets": lambda own, _: (own.parents[1] / "operator/secrets/postgresql").read_text(),
    "read the operator's file": lambda own, _: (own.parents[1] / "operator/shared.yaml").read_text(),
    "make a tenant": lambda own, _: (own.parent / "third").mkdir() or True,
    "change the own environment file": lambda own, _: (own / "environment.yaml").write_text("mine"),
    "put another in its place": lambda own, _: (own / "home").rename(own / "other"),
    "put a link where the operator writes": lambda own, _: (own / ".environment.yaml").symlink_to("/etc/passwd") or 1,
    "change the own credentials": lambda own, _: (own / "secrets/database").write_text("{}"),
    "open the own folder to all": lambda own, _: own.chmod(0o777) or True,
    "take the mark of a suspension away": lambda own, _: (own / "suspended.json").write_text("{}"),
    "become the other's account": lambda _, of: os.setuid(of.stat().st_uid or 1) or True,
}


def _replaced(path: Path) -> bool:
    draft = path.with_name("draft")
    draft.write_text("kept")
    draft.replace(path)
    return True


def _renamed(path: Path) -> bool:
    path.rename(path.with_name("moved"))
    path.with_name("moved").rename(path)
    return True


def _removed(path: Path) -> bool:
    path.unlink()
    path.write_text("spare")
    return True


def _linked(own: Path, to: Path, link: Callable[[Path, Path], None], below: str = "") -> str:
    made = own / "home/link"
    made.unlink(missing_ok=True)
    link(made, to)
    return (made / below if below else made).read_text()


def _process(of: Path) -> str:
    return PROCESSES[of.name]


def _of_process(of: Path, what: str) -> bytes:
    return Path(f"/proc/{_process(of)}/{what}").read_bytes()


PROCESSES: dict[str, str] = {}


def as_account(number: int, act: Callable[[], object]) -> bool:
    """Do something as an account of this machine, in a process of its own; says whether it came about."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
            os._exit(0 if act() else 1)
        except BaseException:  # noqa: BLE001 - whatever refused it
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(scope="module")
def folders(world: World) -> Iterator[tuple[Path, Path]]:
    """Let each tenant keep files, and run a process, as its own account."""
    running = []
    for tenant, number in ACCOUNTS.items():
        home = world.root / tenant / "home"
        for name in ("kept", "spare"):
            assert as_account(number, partial((home / name).write_text, name))
        child = subprocess.Popen(["sleep", "600"], user=number, group=number, extra_groups=(), cwd=home, env={"A": "b"})
        running.append(child)
        PROCESSES[tenant] = str(child.pid)
        until(lambda of=Path(f"/proc/{child.pid}/cmdline"): of.read_bytes().startswith(b"sleep"))
    yield world.root / MINE, world.root / THEIRS
    for child in running:
        child.kill()
        child.wait()


@pytest.mark.parametrize("says", ATTEMPTS)
def test_files_of_another_are_out_of_reach(folders: tuple[Path, Path], says: str) -> None:
    """The same on the own folder comes about."""
    mine, theirs = folders
    act, number = ATTEMPTS[says], ACCOUNTS[MINE]
    assert not as_account(number, lambda: act(mine, theirs))
    assert (theirs / "home/kept").read_text() == "kept"
    assert as_account(number, lambda: act(mine, mine))


@pytest.mark.parametrize("says", NOBODYS)
def test_what_is_the_operators_is_out_of_reach(folders: tuple[Path, Path], says: str) -> None:
    """A tenant reads its own environment file and credentials and changes neither; the operator's it does not read."""
    mine, theirs = folders
    before = {file: file.read_bytes() for file in mine.rglob("*") if file.is_file() and "home" not in file.parts}
    assert not as_account(ACCOUNTS[MINE], lambda: NOBODYS[says](mine, theirs))
    assert {file: file.read_bytes() for file in before} == before
    assert {path.name for path in mine.iterdir()} == {"environment.yaml", "home", "secrets"}


def test_an_account_works_with_its_own(folders: tuple[Path, Path], world: World) -> None:
    """Otherwise nothing above would show anything: it reads its file and its credentials."""
    mine, _ = folders
    assert as_account(ACCOUNTS[MINE], (mine / "environment.yaml").read_text)
    assert as_account(ACCOUNTS[MINE], (mine / "secrets/database").read_text)
    assert world.fields(MINE)["password"]
