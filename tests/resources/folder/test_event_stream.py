"""Lines in a folder keep the event stream's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core.testing.event_stream import EventStreamKit
from resources.folder.event_stream import FolderEventStream


@pytest.fixture
def events(tmp_path: Path) -> FolderEventStream:
    """Write three files a stream."""
    return FolderEventStream(root=str(tmp_path / "streams"), partitions=3)


class TestFolderEventStream(EventStreamKit):
    """Every promise of the contract."""
