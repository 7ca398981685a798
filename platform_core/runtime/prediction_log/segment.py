"""Segment of a prediction log: one open file of frames, written by one worker."""

from __future__ import annotations

import os
from pathlib import Path


class Segment:
    """One file of frames, written by one worker."""

    def __init__(self, file: Path, is_new: bool = False) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | (is_new and os.O_CREAT | os.O_EXCL), 0o644)
        self.size = self._synced = os.fstat(self._file).st_size

    def append(self, frames: bytes) -> None:
        """Write frames whole, or leave nothing of them."""
        written = os.write(self._file, frames)
        if written != len(frames):
            os.ftruncate(self._file, self.size)
            raise OSError(f"{written} of {len(frames)} bytes fitted")
        self.size += written

    @property
    def is_on_disk(self) -> bool:
        """Say whether nothing was written since the last sync; a sync under way is none yet."""
        return self.size == self._synced

    def sync(self) -> None:
        """Wait until the disk has everything."""
        size = self.size
        if size != self._synced:
            os.fdatasync(self._file)
            self._synced = size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
