"""Whoever takes pages dies before or behind one of a page's two files, whichever vendor's pages they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopline.resources.taking.page_store import FolderShelf


class Died(BaseException):
    """Stands for the end of the process."""


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, key: str, number: int, *, is_written: bool) -> Iterator[None]:
    """Let who writes the file of a page's number below ``key`` die: when it is there, or before."""
    draft = FolderShelf._draft

    @contextmanager
    def dies(self: FolderShelf, name: str, content: bytes) -> Iterator[Path]:
        is_meant = f"{key}{number:012}" in name
        if is_meant and not is_written:
            raise Died
        with draft(self, name, content) as path:
            yield path
        if is_meant:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(FolderShelf, "_draft", dies)
        yield
