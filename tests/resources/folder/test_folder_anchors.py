"""Anchors in a folder keep the promises, and a folder that is not there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.anchors import AnchorsKit
from loopline.resources.folder.anchors import FolderAnchors


class TestFolderAnchors(AnchorsKit):
    """Real files."""

    tested_on = "disk"

    @pytest.fixture
    def anchors(self, tmp_path: Path) -> FolderAnchors:
        return FolderAnchors(root=tmp_path)


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be: nothing is written, and the error names the folder."""
    (tmp_path / "root").write_text("")
    with pytest.raises(StoreUnavailable, match="root"):
        FolderAnchors(root=tmp_path / "root").put(f"acme/{1:020d}", b"x")


def test_a_draft_of_a_killed_writer_is_no_anchor(tmp_path: Path) -> None:
    """What lies beside the anchors is not listed."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / f".{1:020d}.12.ab").write_text("half")
    assert FolderAnchors(root=tmp_path).names("acme") == []
