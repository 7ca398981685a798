"""Model packages in an object store by content hash: uploaded once, cached by machine, verified."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

from loopline.platform_core.errors import ContractBroken, NotFound
from loopline.platform_core.foundation.files import put_folder

if TYPE_CHECKING:
    from loopline.resources.object_store.objects import Objects

FOLDER = "packages"
_BLOCK = 1 << 20


def digest(package: Path) -> str:
    """Return the sha256 of a folder's files, by their names and contents."""
    whole = hashlib.sha256()
    for file in sorted(file for file in package.rglob("*") if file.is_file()):
        whole.update(f"{_of_file(file)}  {file.relative_to(package).as_posix()}\n".encode())
    return whole.hexdigest()


def send(objects: Objects, package: Path) -> str:
    """Put a package into the store unless its content is there already; returns its digest.

    Raises:
        NotFound: there is no such folder.
    """
    if not package.is_dir():
        raise NotFound(f"the package {package} is gone", "deploy the version again")
    name = digest(package)
    key = f"{FOLDER}/{name}.tar"
    if not objects.has(key):
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "package.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(package, arcname=".")
            objects.send(key, archive)
    return name


def fetch(objects: Objects, name: str, cache: Path) -> Path:
    """Return the folder of a package in a machine's cache, fetched and verified if it is not there.

    The folder appears whole or not at all, however many processes fetch at once.

    Raises:
        NotFound: the store has none. ContractBroken: its bytes are not those that were sent.
    """
    target = cache / name
    if target.is_dir():
        return target
    draft = cache / f".{name}.{uuid4().hex}"
    draft.mkdir(parents=True)
    try:
        _unpack(objects, name, draft)
        return put_folder(draft / "package", target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpack(objects: Objects, name: str, draft: Path) -> None:
    archive, folder = draft / "package.tar", draft / "package"
    try:
        objects.fetch(f"{FOLDER}/{name}.tar", archive)
    except FileNotFoundError as error:
        raise NotFound(f"{objects.url} has no package {name}", "deploy the version again") from error
    try:
        found = _extracted(archive, folder)
    except Exception as error:  # tarfile lets through what a crafted header makes others raise
        raise _altered(objects, name, str(error) or type(error).__name__) from error
    if found != name:
        raise _altered(objects, name, f"its content has the hash {found}")


def _extracted(archive: Path, folder: Path) -> str:
    """Unpack an archive and return the digest of what was in it."""
    with tarfile.open(archive, "r:") as tar:
        if any(member.issparse() for member in tar):
            raise tarfile.TarError("a file in it has holes")  # of a few bytes, and hashed for days
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:  # before Python 3.11.4
            tar.extractall(folder, [_harmless(member) for member in tar])  # noqa: S202 - each was looked at
    return digest(folder)


def _harmless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Do what the filter "data" does, where Python has none; links are refused."""
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()) or path.is_absolute() or ".." in path.parts:
        raise tarfile.TarError(f"{member.name} is no file or folder below it")
    member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    return member


def _altered(objects: Objects, name: str, why: str) -> ContractBroken:
    return ContractBroken(
        f"the package {name} in {objects.url} is not what was deployed: {why}",
        f"delete {FOLDER}/{name}.tar there, find out who changed it, and deploy the version again",
    )


def _of_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
