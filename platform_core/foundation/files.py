"""Files that others may read at any moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Give a folder that is there while the block runs, and gone with all that is in it when it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
