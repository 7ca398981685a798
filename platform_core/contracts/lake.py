"""Contract of the lake: append-only, versioned tables."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake_files import LakeFiles

ERASES = "erases"
"""A lake takes rows out of every version, for good."""
TableName = str
"""``team/stage/name``, made by ``loopline.platform_core.foundation.names``."""


@dataclass(frozen=True)
class Tidied:
    """Files of the newest version before and after merging, files deleted, and the kept versions (sorted).

    A lake that has no files counts none.
    """

    files_before: int
    files_after: int
    files_deleted: int
    versions: tuple[int, ...]


class Committed(NamedTuple):
    """Transactions, and the mark up to which they go."""

    transactions: Mapping[str, int]
    mark: str


class Lake(Vendor):
    """Append-only, versioned tables, of which days are read by themselves where they have the column ``_date``.

    Promises, each with a test in ``loopline.platform_core.testing.lake``:
      1. What was appended is read back: same rows, same types, timestamps in UTC µs.
      2. Every append makes a version; an old version reads the same for ever.
      3. A transaction that was committed is not committed again: the rows of a repeated append are not added.
      4. Transactions and rows become visible together or not at all.
      5. ``since`` and ``until`` (dates, both included) and ``columns`` read only what they name.
      6. Two writers that append at once both succeed.
      7. New nullable columns may come with a later append; older rows read null there.
      8. A table that was never written has version None and reading it raises ``NotFound``.
      9. A writer that says what it builds on (``after``) writes nothing once another writer has gone on from there.
      10. ``among`` reads only the rows whose value in a column is among those given.
      11. ``tidy`` changes no row of the newest version nor of a kept one, and lets older versions go.
      12. ``newer_than`` reads only the rows that were appended after a version, whatever was tidied since.
      13. ``drop_days`` takes whole days from the newest version, no other day, row or transaction; a version before it
          reads the same until it is let go.
      14. A table is what its name says: of two names, however alike, neither reads the other's rows, and ``tables``
          lists them as they were named; a vendor that cannot tell them apart refuses the one with ``__``
          (``ContractBroken``).
      15. ``committed`` without applications tells of every one.
      16. ``committed_since`` tells what was committed after a mark, by whoever, and nothing of before; of another
          table's mark it tells nothing. A vendor that gives no mark tells nothing ever.
      17. A table put elsewhere file by file, where a lake can ``files``, is the same: versions, rows, transactions. On
          the way a reader of the copy sees no version of which a file is not there.
      18. Where ``can`` names ``erases``: ``erase`` takes the rows that are meant out of every version that can still be
          read, and nothing of them is left; the newest version has all its other rows, and transactions stay.
    """

    @abc.abstractmethod
    def append(
        self,
        table: TableName,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Add rows and commit transactions (application id → version) in the same commit.

        If every one of the transactions is already committed at this version or later, nothing is written. With
        ``after`` (the committed versions on which the writer builds, an application without one left out) the
        transactions of the table must stand exactly there, else the writer is stale.

        Returns:
            The table's version that holds the rows.

        Raises:
            CommitConflict: another writer won again and again, some but not all of the transactions are committed,
            or the writer is stale.
            ContractBroken: a column is of another type than in the table; nothing is written.
        """

    @abc.abstractmethod
    def read(  # noqa: PLR0913 - each names what is left out
        self,
        table: TableName,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: date | None = None,
        until: date | None = None,
        among: Mapping[str, pa.Array] | None = None,
        newer_than: int | None = None,
    ) -> pa.Table:
        """Read rows of one version (the newest when None), in no promised order.

        ``among`` keeps the rows whose value in each named column is one of those given (column → values); a null
        is never kept. ``newer_than`` keeps the rows that were appended after that version, at the cost of those.

        Raises:
            NotFound: the table or the version does not exist, or what came after ``newer_than`` is not known any more.
        """

    @abc.abstractmethod
    def version(self, table: TableName) -> int | None:
        """Return the newest version, None when the table was never written."""

    @abc.abstractmethod
    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        """Return the committed version of each application id that has one; of all that there are when None.

        What is returned may grow later, and is not to be changed.
        """

    def mark(self, table: TableName) -> str:  # noqa: ARG002 - vendors that have one need it
        """Name how far what ``committed`` last returned of a table goes, "" where ``committed_since`` cannot tell."""
        return ""

    def committed_since(self, table: TableName, mark: str) -> Committed | None:  # noqa: ARG002 - as above
        """Return what was committed after a mark, at the cost of that; None where that cannot be told.

        So it is of a mark of another table, also of one that was deleted and written anew, and of one too long ago.
        """
        return None

    @abc.abstractmethod
    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        """Merge small files, and let go of versions older than ``older_than`` that are not in ``keep``.

        Raises:
            NotFound: the table, or a version to keep, does not exist.
            CommitConflict: another writer won again and again.
        """

    def drop_days(self, table: TableName, before: date) -> int:
        """Take the rows of days before ``before`` (``_date``, not included) from the newest version.

        On disk they are until ``tidy`` lets the versions before go. Where there are none nothing is written.

        Returns:
            How many rows were taken.

        Raises:
            Unsupported: the vendor cannot. NotFound: the table was never written.
            CommitConflict: another writer won again and again.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot take days of {table!r} away before {before}",
            "leave retention_days out, or let the lake's own lifecycle rules do it",
        )

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        """Take the rows whose value in each named column is one of those given out of every version, for good.

        Older versions may go as a whole, kept ones too: they would hold what is erased. What came after one of them can
        not be told any more. Who is killed calls again: what is erased already is looked after as well.

        Returns:
            How many rows the newest version lost.

        Raises:
            Unsupported: the vendor cannot. NotFound: the table was never written.
            CommitConflict: another writer won again and again.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot take rows of {sorted(among)} out of {table!r} for good",
            "erase them by the lake's own means, in each version and file, then look with 'loopline subject check'",
        )

    def files(self) -> LakeFiles:
        """Return the lake as files, by which tables are moved with their versions.

        Raises:
            Unsupported: the vendor cannot.
        """
        raise Unsupported(
            f"{type(self).__name__} does not give its tables as files, by which their versions could be moved",
            "move the lake by its own tools, versions included, or bind 'delta' on both sides",
        )

    def place(self, table: TableName) -> str:  # noqa: ARG002 - vendors that have one need it
        """Return the path or URL by which other tools open a table, "" where there is none."""
        return ""

    @abc.abstractmethod
    def tables(self) -> Sequence[TableName]:
        """Return every table's name, sorted."""
