"""Incremental pull of a feed: follows its pages from the last cursor, and stores rows that are new.

A feed's last page leads nowhere yet, and may grow or change: it is asked for again, and what it has beyond its answer
before, counted, is new. So a row that went and came back is another row. Every other page is asked for once, for a
cursor leads behind it.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from loopline.platform_core.errors import CommitConflict, ContractBroken
from loopline.platform_core.foundation.clock import micros
from loopline.resources.http.asking import Answer, Ask, shown
from loopline.resources.http.feeds import Feed
from loopline.resources.taking.page_log import Content, Page, PageLog, digest, digests_in

MANY_EMPTY = 10
"""So many pages without a new row are passed over in one look."""


class Cursor(msgspec.Struct, frozen=True):
    """The step that gave a page, and the one that it led to, "" if none: as ``Feed.next_of`` writes them."""

    asked: str
    next: str


@dataclass
class Walk:
    """The way of one process through a feed: the steps that its log knows, and where it stopped behind empty pages."""

    log: PageLog
    _asked: set[str] = field(default_factory=set)
    _read: int = 0
    _ahead: tuple[int, str] = (-1, "")

    def asked(self) -> AbstractSet[str]:
        """Return the steps by which pages were taken."""
        self._asked.update(_cursor(page).asked for page in self.log.pages[self._read :])
        self._read = len(self.log.pages)
        return self._asked

    def begins(self) -> str:
        """Return the step to go on with: behind the last page, or to it where it led nowhere."""
        (pages, step), self._ahead = self._ahead, (-1, "")
        if pages == len(self.log.pages):
            return step
        last = _cursor(self.log.pages[-1]) if self.log.pages else Cursor("", "")
        return last.next or last.asked

    def stop(self, step: str) -> None:
        """Let the next look go on with a step, unless a page is taken before."""
        self._ahead = len(self.log.pages), step


def look(walk: Walk, feed: Feed, ask: Ask, until: float) -> None:
    """Take what is new, at least a page of it; stop at ``until``, or where another process takes pages as well.

    Raises:
        ContractBroken: an answer is not what the feed says. Others: as ``asking``.
    """
    log, step, seen, empty = walk.log, walk.begins(), set[str](), 0
    while step not in seen and empty < MANY_EMPTY:
        seen.add(step)
        try:
            before = _answered(log, step)  # ahead of the question: who is overtaken by another process adds no page
        except CommitConflict:
            return
        answer = ask(feed.url_of(step))
        rows, cursor = feed.rows_in(answer), Cursor(step, feed.next_of(answer))
        if cursor.next not in ("", step) and cursor.next in walk.asked():
            problem = f"the answer of {shown(answer.url)} leads back to a page that was taken"
            raise ContractBroken(problem, "mend the feed's 'next' and 'cursor', or ask the API's owner")
        now = [digest(row) for row in rows]
        new = _beyond(before, rows, now)
        if before != Counter(now) and (
            not log.add(_content(new, now, feed, answer, cursor)) or time.monotonic() > until
        ):
            return
        empty = 0 if new else empty + 1
        if not cursor.next:
            return
        step = cursor.next
    if empty == MANY_EMPTY:
        walk.stop(step)


def _cursor(page: Page) -> Cursor:
    return msgspec.json.decode(page.cursor, type=Cursor)


def _answered(log: PageLog, step: str) -> Counter[bytes]:
    """Count the rows of a step's last answer by digest.

    Raises:
        CommitConflict: another process took a page.
    """
    if not log.pages or _cursor(log.pages[-1]).asked != step:
        return Counter()
    kept = log.answered()
    if kept is not None:
        return Counter(digests_in(kept))
    counts: Counter[bytes] = Counter()
    for page in reversed(log.pages):
        if _cursor(page).asked != step:
            break
        counts.update(map(digest, log.kept(page).split(b"\n")[:-1]))
    return counts


def _beyond(before: Counter[bytes], rows: Sequence[bytes], digests: Sequence[bytes]) -> list[bytes]:
    """Return the rows that an answer has more often than the one before."""
    left, new = Counter(before), []
    for row, known_by in zip(rows, digests, strict=True):
        left[known_by] -= 1
        if left[known_by] < 0:
            new.append(row)
    return new


def _content(rows: Sequence[bytes], answered: Sequence[bytes], feed: Feed, answer: Answer, cursor: Cursor) -> Content:
    now, data = datetime.now(UTC), b"".join(row + b"\n" for row in rows)
    at = micros(min(feed.known_at_of(answer) or now, now)) if rows else 0
    kept = b"".join(answered) if cursor.next in ("", cursor.asked) else None
    return Content(data, hashlib.sha256(data).hexdigest(), at, msgspec.json.encode(cursor).decode(), kept)
