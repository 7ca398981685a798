"""Changes the file of API keys: one change after another, and so that who could read it before can afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Have the file to oneself, from reading it to writing it: a change that came between would be undone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    is_anothers = lock.exists() and not os.access(lock, os.W_OK)
    with lock.open("r" if is_anothers else "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def write(file: Path, content: bytes) -> None:
    """Write so that a reader sees the old content or the new; a new file is its owner's alone."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        if file.exists():
            _give(stream.fileno(), file.stat())
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def _give(draft: int, before: os.stat_result) -> None:
    """Give a draft the owner of the file of before, as far as we may, and its mode: the server is to read on."""
    for user, group in ((-1, before.st_gid), (before.st_uid, -1)):
        with contextlib.suppress(OSError):
            os.fchown(draft, user, group)
    mode = stat.S_IMODE(before.st_mode)
    if os.fstat(draft).st_gid != before.st_gid:
        mode &= ~stat.S_IRWXG  # what that group was allowed is not for ours
    os.fchmod(draft, mode)
