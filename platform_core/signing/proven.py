"""Verified package: every byte is hashed as it is read, against the signed hashes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loopline.platform_core.errors import ContractBroken, LooplineError, NotFound
from loopline.platform_core.signing import statement


@dataclass(frozen=True)
class ProvenPackage:
    """The folder of a package and the sha256 of each of its files, which somebody signed.

    All of it is read and compared at once, and what was read is given out, once, to whoever loads it; what is read
    later is compared again. ``broken`` makes the error that says what is wrong.
    """

    folder: Path
    sums: Mapping[str, str]
    broken: Callable[[str], LooplineError]
    _held: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Compare names, then contents.

        Raises:
            LooplineError: as ``broken`` makes it. NotFound: there is no such folder.
        """
        if not self.folder.is_dir():
            raise NotFound(f"there is no package at {self.folder}", "fetch it from the registry")
        try:
            there = statement.names(self.folder)
        except ContractBroken as error:
            raise self.broken(error.problem) from error
        if missing := sorted(set(self.sums) - set(there)):
            raise self.broken(f"it lacks {', '.join(missing)}")
        if strange := sorted(set(there) - set(self.sums)):
            raise self.broken(f"it holds {', '.join(strange)}, which nobody signed")
        for name in self.sums:
            self._held[name] = self._compared(name)

    def joinpath(self, name: str) -> ProvenFile:
        """Return one of its files, which may not be there."""
        return ProvenFile(self, name)

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: nobody signed such a file. LooplineError: it has changed since.
        """
        if name not in self.sums:
            raise FileNotFoundError(f"{self.folder} has no {name} that was signed")
        held = self._held.pop(name, None)
        return self._compared(name) if held is None else held

    def release(self) -> None:
        """Let go of what nobody asked for; whoever reads it later reads it from the disk, and compares it."""
        self._held.clear()

    def __str__(self) -> str:
        """Name the folder."""
        return str(self.folder)

    def _compared(self, name: str) -> bytes:
        try:
            content = self.folder.joinpath(name).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise self.broken(f"it lacks {name}") from None
        if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), self.sums[name]):
            raise self.broken(f"{name} is not what was signed")
        return content


@dataclass(frozen=True)
class ProvenFile:
    """One file of such a package; where others read paths it is read as one."""

    package: ProvenPackage
    name: str

    @property
    def path(self) -> Path:
        """Return where it lies, for whoever hashes it himself."""
        return self.package.folder / self.name

    @property
    def sha256(self) -> str:
        """Return what was signed."""
        return self.package.sums[self.name]

    def exists(self) -> bool:
        """Say whether such a file was signed."""
        return self.name in self.package.sums

    def read_bytes(self) -> bytes:
        """Return its content; see ``ProvenPackage.read``."""
        return self.package.read(self.name)

    def with_name(self, name: str) -> ProvenFile:
        """Return the file of another name beside it."""
        return ProvenFile(self.package, name)

    def __str__(self) -> str:
        """Name it."""
        return str(self.path)
