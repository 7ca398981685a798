"""Packages signed by a trainer whom a trust knows, and one whose pickle would run code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from loopline.platform_core.audit import keys, notes
from loopline.platform_core.audit.keys import SigningKey
from loopline.platform_core.signing import statement
from loopline.platform_core.signing.statement import FILE, KIND, Statement
from loopline.platform_core.signing.trust import Trust
from loopline.platform_core.sites import Sites
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.trainers import Trainer

MODEL, VERSION = "kit.model", "1"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRAINER = keys.new("training-2026")


def trust(*known: SigningKey, **more: Any) -> Trust:
    """Trust trainers."""
    trainers = [Trainer(key.name, key.verifying.text, **more) for key in known or (TRAINER,)]
    return Trust(tuple(trainers), Sites())


def note(package: Path, key: SigningKey = TRAINER, **other: Any) -> str:
    """Return a note of a package; ``other`` are fields of the statement that differ."""
    said = Statement(KIND, MODEL, VERSION, "cycle", key.name, AT, statement.sums(package))
    return notes.signed(msgspec.structs.replace(said, **other).text, key)


def sign(package: Path, key: SigningKey = TRAINER, **other: Any) -> Path:
    """Lay a note into a package."""
    package.joinpath(FILE).write_text(note(package, key, **other), encoding="utf-8")
    return package


def signed(folder: Path, estimator: Any = None, **other: Any) -> Path:
    """Write a package and sign it."""
    return sign(write_package(folder, estimator or Constant(0.25)), **other)


class Trap:
    """What runs code where it is unpickled: it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        """Make whoever unpickles it touch a file."""
        return Path.touch, (self._mark,)


def swap(file: Path, at: int = -1) -> None:
    """Change one byte."""
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def every(package: Path) -> Sequence[str]:
    """Name the files of a package that are signed."""
    return statement.names(package)
