"""Atomic file writes: readers see the old content or the new one."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file of which readers see the old content or the new; its draft has a name that begins with a dot."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def stamp(path: Path) -> tuple[int, int, int, int]:
    """Return what is another as soon as a file was written, or another one put in its place.

    The time of its content alone is not: what copies a file may keep that, or set the same for all.

    Raises:
        OSError: it is not there.
    """
    found = path.stat()
    return found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size


def write_private(path: Path, content: bytes, give: Callable[[int], None] = lambda _: None) -> None:
    """Write as ``write`` does, but for the owner's eyes alone, and onto the disk before readers see it.

    ``give`` may let others read the draft too, once all is in it: it has its descriptor, for in a folder of somebody
    else's another file may stand at its name by then. A draft that is not completed goes.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            give(descriptor)
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def give_as(before: Path, draft: int) -> None:
    """Give a draft the owner of a file that is there, as far as we may, and its mode: who reads that is to read on."""
    if not before.exists():
        return
    kept = before.stat()
    for user, group in ((-1, kept.st_gid), (kept.st_uid, -1)):
        with suppress(OSError):
            os.fchown(draft, user, group)
    mode = stat.S_IMODE(kept.st_mode)
    if os.fstat(draft).st_gid != kept.st_gid:
        mode &= ~stat.S_IRWXG  # what that group was allowed is not for ours
    os.fchmod(draft, mode)


def put_folder(draft: Path, target: Path) -> Path:
    """Rename a folder that is whole to where others look for it, unless somebody faster put the same bytes there."""
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    return target


@contextmanager
def lent(folder: Path) -> Iterator[Path]:
    """Give a folder that is there while the block runs; then it goes, with all in it and the parents it needed."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        with suppress(OSError):  # others have come to need a parent
            for parent in missing:
                parent.rmdir()


def bytes_below(folder: Path) -> int:
    """Return the size of all files below a folder; what goes meanwhile counts nothing, nor does what is no folder."""
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total
