"""Present time by two clocks, the database's and this machine's, either of which may be wrong."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

FASTER = 1.1
"""So much faster than time passes what is sure may come after both clocks, which were behind or are ahead."""
ODD_SECONDS = 60.0
"""Clocks that differ by more are told of."""
_log = logging.getLogger(__name__)


def ours() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


class Now(NamedTuple):
    """The earlier of both clocks, and the instant that is surely over: rows of before, but for late ones, are there."""

    clock: datetime
    sure: datetime


@dataclass
class Present:
    """The instants of one process' looks.

    What is sure is the earlier of both clocks, and no further behind the look before than time has passed. So

    - where one clock is ahead, the other one holds; where one is behind, more rows are read again, and none is jumped;
    - where both go ahead, this process goes no further than it knows that time has passed;
    - where both are ahead when a process begins, its looks are ones of the future once the clocks are right: it is
      looked again from what was read before them. Rows are jumped only if nobody looks until the clocks are there.
    """

    _before: tuple[datetime, float] | None = None
    _told: set[str] = field(default_factory=set)

    def now(self, theirs: datetime, source: str) -> Now:
        """Return that of a look, by what the database's clock says."""
        clock, passed = min(theirs, ours()), time.monotonic()
        apart = abs((theirs - ours()).total_seconds())
        words = "%s: the clocks of database and machine are %.0f s apart: set them; rows are read by the earlier one"
        self.tell(f"{source} apart", apart > ODD_SECONDS, words, source, apart)
        sure = clock
        if self._before is not None:
            before, then = self._before
            sure = min(clock, before + timedelta(seconds=(passed - then) * FASTER))
        self._before = sure, passed
        return Now(clock, sure)

    def tell(self, what: str, is_so: bool, words: str, *values: object) -> None:
        """Log something once while it is so."""
        if is_so and what not in self._told:
            _log.warning(words, *values)
        (self._told.add if is_so else self._told.discard)(what)
