"""Test delivery into a landing folder, for the event source kit."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from loopline.platform_core.testing.event_source import Delivery


class FolderDelivery(Delivery):
    """Writes files as a careful sender does: under another name first."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Rename the file when it is written, and set its time."""
        self.unfinished(source, name, content)
        draft = self.root / source / f"{name}.csv.tmp"
        os.utime(draft, (arrived_at.timestamp(), arrived_at.timestamp()))
        draft.rename(self.root / source / f"{name}.csv")

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Write under the name that says so, and under other such names."""
        folder = self.root / source
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in (f"{name}.csv.tmp", f".{name}.csv", f"{name}.csv.part"):
            (folder / unfinished).write_bytes(content)

    def holds(self, source: str, name: str) -> bool:
        """Look for the file."""
        return (self.root / source / f"{name}.csv").exists()
