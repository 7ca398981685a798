"""Files that others may read at any moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file of which readers see the old content or the new; its draft has a name that begins with a dot."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


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
