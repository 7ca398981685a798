"""Contract of a lake's tables, and of an event source's stored pages, as files that a migration copies."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import TableName

FILES = "files"
"""A lake gives its tables as files, and takes them."""


class StoredFile(NamedTuple):
    """A file by its path below the lake's root, parts separated by ``/``; ``size`` in bytes.

    A ``changing`` one is written again by the vendor as a table grows; every other stays as it is for ever.
    """

    path: str
    size: int
    changing: bool = False


class TableFiles(NamedTuple):
    """The folder of a table below the lake's root; ``data`` may be copied in any order, then ``log`` in its own.

    What a file of the log names is among the data, or before it in the log.
    """

    folder: str
    data: Sequence[StoredFile]
    log: Sequence[StoredFile]


class LakeFiles(abc.ABC):
    """Files of one lake; several threads may use it at once. Lakes of one ``form`` read each other's files."""

    form: ClassVar[str]

    @abc.abstractmethod
    def of(self, table: TableName) -> TableFiles:
        """List all by which a table's versions are read.

        Raises:
            NotFound: the table was never written. StoreUnavailable: the store did not answer.
        """

    @abc.abstractmethod
    def below(self, folder: str) -> dict[str, int]:
        """List what lies below a folder, whether it is a table yet or not: size in bytes by path.

        Raises:
            StoreUnavailable: the store did not answer.
        """

    @abc.abstractmethod
    def read(self, path: str) -> Iterator[bytes]:
        """Read a file piece by piece.

        Raises:
            NotFound: there is none. StoreUnavailable: the store did not answer.
        """

    @abc.abstractmethod
    def put(self, path: str, content: Path) -> None:
        """Put a file of this machine there, whole or not at all.

        Raises:
            StoreUnavailable: the store did not take it.
        """

    def may_be_left(self, path: str) -> bool:  # noqa: ARG002 - vendors that delete files need it
        """Say whether the vendor deletes a file as its table grows: an earlier copy has it, and it is nobody's."""
        return False


class PageFiles(LakeFiles):
    """What an event source took of those whom it asks, as files: a table is the folder of a source below the root."""

    form: ClassVar[str] = "pages"

    @abc.abstractmethod
    def folders(self) -> Sequence[str]:
        """List the folders of sources of which something was taken.

        Raises:
            StoreUnavailable: the store did not answer.
        """
