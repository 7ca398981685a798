"""Contract of event sources: where raw rows arrive, as files or batches of a stream."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import ContractBroken, Unsupported
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake_files import PageFiles

REDACTS = "redacts"
"""A source takes lines out of what lies there, for good."""
MALFORMED = "_malformed"
"""Rows as read: the raw text of a row with too few or too many fields, else null; such a row keeps no contract."""


OWN = (LINE, MALFORMED)
"""Columns that a source adds to the fields."""


def refuse_reserved(header: Sequence[str], name: str, reserved: Sequence[str] = (*OWN, ARRIVAL, ARRIVED_AT)) -> None:
    """Refuse fields that are called as what the platform adds.

    Raises:
        ContractBroken: naming them.
    """
    if taken := sorted({column for column in header if column in reserved}):
        raise ContractBroken(
            f"{name}: the platform has columns called {', '.join(map(repr, taken))} of its own",
            "send them under other names, or leave them out",
        )


@dataclass(frozen=True)
class Arrival:
    """A file, or a stretch of a stream, that came in one piece.

    ``arrival_id`` names it for good, ``content_id`` what it holds: content that comes again has the same one ("" where
    that is the ``arrival_id``). ``arrived_at`` is when the platform could first know it (UTC). Where its rows are
    ``in_order`` of what happened, as a page of a change feed is, the last of a key's rows holds; else a key may stand
    in it once.
    """

    arrival_id: str
    name: str
    arrived_at: datetime
    content_id: str = ""
    in_order: bool = False

    @property
    def content(self) -> str:
        """Return what names its content."""
        return self.content_id or self.arrival_id


class KnownIds(AbstractSet[str]):
    """Ids of arrivals that are known: what landed stays so, and ``mark`` names how far this set goes ("": unknown).

    Where ``since`` names how far an earlier set went, ``newer`` are all ids that came to be known after it, and who
    remembers what was not known then need ask for no other.
    """

    mark: str = ""
    since: str = ""
    newer: AbstractSet[str] = frozenset()


def as_set(known: Collection[str]) -> AbstractSet[str]:
    """Return ids as a set, without copying them where they are one."""
    return known if isinstance(known, AbstractSet) else frozenset(known)


class EventSource(Vendor):
    """Where raw rows arrive.

    Promises, each with a test in ``loopline.platform_core.testing.event_source``:
      1. ``arrivals`` lists what came for a source, oldest first, without those already ``known``. The first arrival of
         a content has the content's id; what comes again, under another name or after other content under its own, is
         another arrival of the same content, and keeps the id that it was given. Where rows are asked for, each once,
         those that look like earlier ones are another content.
      2. ``read`` gives every row as text, in order, with its line; a missing value is null; nothing is dropped,
         also where a row has too few or too many fields.
      3. Reading does not consume: the same arrival reads the same again.
      4. Content that is still being written is not listed.
      5. A source for which nothing came has no arrivals.
      6. Content that cannot be read at all raises ``ContractBroken`` and stays where it is.
      7. Where ``can`` names ``redacts``: ``redact`` leaves nothing of some lines, and every other line; what is there
         then has the id that was told before.
    """

    @abc.abstractmethod
    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List arrivals of ``team/source`` whose id is not known, oldest first, at most ``limit``.

        ``known`` may be large, and is never listed: a ``Set`` is taken off many ids at once, and one that is hashable
        does not change.
        """

    def settled(self, source: str) -> str:  # noqa: ARG002 - vendors that remember it need it
        """Return the mark of the ``KnownIds`` for which it is remembered what of a source was not known; "" for none.

        If the next ``arrivals`` get ids that are known ``since`` that mark, they cost what is new.
        """
        return ""

    def pages(self) -> PageFiles | None:
        """Return what was taken of those whom this one asks: it is known from nowhere else. None if it asks nobody."""
        return None

    def place(self, source: str) -> str:  # noqa: ARG002 - vendors that have one need it
        """Return the path or URL by which other tools know where a source arrives, "" where there is none."""
        return ""

    def lay(self, source: str, name: str, content: bytes, at: datetime) -> None:  # noqa: ARG002 - for who can
        """Let a file come to ``team/source``, whole at once, as one that arrived at that time; for replays of history.

        Raises:
            Unsupported: files come here by nobody's hand.
        """
        raise Unsupported(
            f"{type(self).__name__} takes no files", "replay history into a folder or an object store's prefix"
        )

    def redact(
        self,
        source: str,
        arrival: Arrival,
        lines: Collection[int],  # noqa: ARG002 - who can needs them all
        landed: Callable[[str], None],  # noqa: ARG002
    ) -> None:
        """Take lines (``_line``) out of what lies there of an arrival, for good; then it is another content.

        ``landed`` is called with the id of the arrival that it will be, before it is: who calls this says so that it
        landed already. What moved or changed meanwhile is left as it is.

        Raises:
            Unsupported: what arrives here is kept by somebody else, or cannot be written.
        """
        raise Unsupported(
            f"{type(self).__name__} does not keep, or cannot write, what arrives for {source}, such as {arrival.name}",
            "ask whoever keeps it to erase the person there",
        )

    @abc.abstractmethod
    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read rows.

        Returns:
            Each field as string under its header's name, plus ``_line`` (int64, 1-based, header counted) and
            ``_malformed`` (string). A row with too few or too many fields has nulls under the header's names.

        Raises:
            ContractBroken: the content is no table at all. NotFound: it is gone, or another by now.
        """
