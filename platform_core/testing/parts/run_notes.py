"""Notes of conformance runs in progress, so that what a killed run left behind is found and cleared away."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from loopline.platform_core.foundation.files import write

PREFIX = "loopline-kit-"
"""Every place's name begins with it."""


@dataclass(frozen=True)
class Note:
    """A run's place: its name, the environment file, the contracts that it holds to their promises, and its process."""

    name: str
    environment: str
    contracts: Sequence[str]
    process: int

    @property
    def is_running(self) -> bool:
        """Say whether the run's process lives, or another one that got its number."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def new_name() -> str:
    """Name a place that nobody else has: when it was made (UTC), and chance."""
    return f"{PREFIX}{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def left(home: Path) -> list[Note]:
    """Return the notes of runs that ended before they cleaned up, oldest first."""
    found = (json.loads(file.read_text(encoding="utf-8")) for file in sorted(_folder(home).glob(f"{PREFIX}*.json")))
    return [note for note in (Note(**one) for one in found) if not note.is_running]


@contextmanager
def noted(home: Path, note: Note) -> Iterator[list[str]]:
    """Keep a note while the block runs; it stays if its process is killed, or if problems are put into the list."""
    _folder(home).mkdir(parents=True, exist_ok=True)
    write(_file(home, note), json.dumps(asdict(note)).encode())
    problems: list[str] = []
    try:
        yield problems
    except (KeyboardInterrupt, SystemExit):  # places end with their blocks
        strike(home, note)
        raise
    if not any(problems):
        strike(home, note)


def strike(home: Path, note: Note) -> None:
    """Strike a note: its place is gone."""
    _file(home, note).unlink(missing_ok=True)
    if _folder(home).is_dir() and not any(_folder(home).iterdir()):
        _folder(home).rmdir()


def _folder(home: Path) -> Path:
    return home / "conformance"


def _file(home: Path, note: Note) -> Path:
    return _folder(home) / f"{note.name}.json"
