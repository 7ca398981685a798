"""Git repositories of the shipped templates, as Copier needs them: one a template, a tag a version.

A version is a folder, ``shipped/<kind>/v<number>``, and stays once it was released: an update needs the version that
a project was made from as well as the newest. The repositories are built again when what is shipped has changed. A
project knows its template by an address that means the same on every machine; Git is told here where that lies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from loopline.platform_core.errors import NotFound

SHIPPED = Path(__file__).parent / "shipped"
ADDRESS = "loopline-templates://"
"""Begins the address by which a project names its template; Git takes it for the folder of the repositories."""
_DATE = "2026-01-01T00:00:00Z"
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Loopline"), ("EMAIL", "templates@loopline.invalid"), ("DATE", _DATE))
}


def address(kind: str) -> str:
    """Return the address of a template."""
    return f"{ADDRESS}{kind}.git"


def kinds(shipped: Path = SHIPPED) -> list[str]:
    """Name the templates."""
    return sorted(folder.name for folder in shipped.iterdir() if folder.is_dir())


def has_git() -> bool:
    """Say whether Git is installed: to begin does not need it, to bring up to date does."""
    return shutil.which("git") is not None


def newest(kind: str, shipped: Path = SHIPPED) -> str:
    """Return a template's newest version."""
    return max((one.name for one in (shipped / kind).iterdir()), key=lambda name: int(name.removeprefix("v")))


@contextlib.contextmanager
def rendered_from(kind: str, shipped: Path = SHIPPED, version: str | None = None) -> Iterator[str]:
    """Give what Copier renders a template from: its repository, or without Git the version's own folder."""
    if has_git():
        with reachable(shipped):
            yield address(kind)
    else:
        yield str(shipped / kind / (version or newest(kind, shipped)))


@contextlib.contextmanager
def reachable(shipped: Path = SHIPPED) -> Iterator[None]:
    """Let Git, as Copier calls it, find the templates under their addresses."""
    from plumbum import local

    if shutil.which("git") is None:  # said here: what Copier says without Git reads as a defect of ours
        raise NotFound("templates are rendered with Git, which is not installed", "install git")
    told = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{_built(shipped)}/.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }
    with local.env(**told):
        yield


def _built(shipped: Path) -> Path:
    """Return the folder of the repositories, named by the content of what is shipped."""
    folder = _cache() / f"templates-{_digest(shipped)}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=folder.parent))
        for kind in kinds(shipped):
            _repository(shipped / kind, making / f"{kind}.git")
        with contextlib.suppress(OSError):  # another process was quicker
            making.rename(folder)
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _repository(versions: Path, folder: Path) -> None:
    """Commit each version of a template on top of the one before, and tag it."""
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    for version in sorted(versions.iterdir(), key=lambda one: int(one.name.removeprefix("v"))):
        for old in (path for path in folder.iterdir() if path.name != ".git"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(version, folder, dirs_exist_ok=True)
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--allow-empty", "--message", version.name)
        _git(folder, "tag", version.name)


def _git(folder: Path, *arguments: str) -> None:
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        subprocess.run(  # noqa: S603 - our own arguments
            ["git", *arguments],  # noqa: S607 - wherever Git is
            cwd=folder,
            env={**os.environ, **IDENTITY, **quiet},
            check=True,
            capture_output=True,
        )
    except FileNotFoundError as error:
        raise NotFound("templates are rendered with Git, which is not installed", "install git") from error


def _digest(shipped: Path) -> str:
    content = hashlib.sha256()
    for path in sorted(path for path in shipped.rglob("*") if path.is_file()):
        content.update(str(path.relative_to(shipped)).encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopline"
