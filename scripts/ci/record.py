"""Records of CI runs, kept in the cache outside of any clone: the last run whole, and the last result of each group."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.cluster.settings import cache


@dataclass(frozen=True)
class Last:
    """The last result of a group of heavy tests: in which run, at which commit, how long and with what end."""

    run: int
    commit: str
    seconds: float
    passed: bool


@dataclass
class Records:
    """How many runs there were, and the last result of each group."""

    runs: int = 0
    groups: dict[str, Last] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | None = None) -> Records:
        """Read the records; without a file, or with one that is damaged, there are none."""
        try:
            found = json.loads(_file(folder, "ci-groups.json").read_text(encoding="utf-8"))
            return cls(int(found["runs"]), {name: Last(**last) for name, last in found["groups"].items()})
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, folder: Path | None = None) -> None:
        """Replace the file as a whole."""
        _replace(_file(folder, "ci-groups.json"), asdict(self))


def write_last_run(run: dict[str, Any], folder: Path | None = None) -> Path:
    """Write ``ci-last.json``: commit, seconds, result, parts, slowest tests, and what did not run."""
    path = _file(folder, "ci-last.json")
    _replace(path, run)
    return path


def _file(folder: Path | None, name: str) -> Path:
    return (folder or cache()) / name


def _replace(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    draft.replace(path)
