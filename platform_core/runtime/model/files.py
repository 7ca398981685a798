"""File access of a model package: from a folder, or verified against a signature (``signing.proven``)."""

from __future__ import annotations

from typing import Protocol


class File(Protocol):
    """A file, which may not be there."""

    @property
    def name(self) -> str:
        """Return its name in the package."""

    def exists(self) -> bool:
        """Say whether it is there."""

    def read_bytes(self) -> bytes:
        """Return its content."""

    def with_name(self, name: str, /) -> File:
        """Return the one of another name beside it."""


class Package(Protocol):
    """A folder of files."""

    def joinpath(self, name: str, /) -> File:
        """Return one of its files."""
