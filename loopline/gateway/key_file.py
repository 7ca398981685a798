"""Atomic, locked updates of the API key file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.files import give_as, write_private


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Have the file to oneself, from reading it to writing it: a change that came between would be undone.

    Raises:
        Refused: what is locked for that is a link, which may lead to a file of somebody else's.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f".{file.name}.lock")
    is_anothers = lock.exists() and not os.access(lock, os.W_OK)
    how = os.O_RDONLY if is_anothers else os.O_RDWR | os.O_CREAT
    try:
        held = os.open(lock, how | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused(f"{lock} is a link", "remove it, and see who put it there") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def write(file: Path, content: bytes) -> None:
    """Write so that a reader sees the old content or the new; a new file is its owner's alone."""
    write_private(file, content, partial(give_as, file))
