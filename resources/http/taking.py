"""One look at a feed: from where the last page led on, rows that were not taken become pages.

A feed's last page leads nowhere yet, and may grow: it is asked for again, and those of its rows that were taken are
left out, counted. Every other page is asked for once, for a cursor leads behind it.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import micros
from loopline.resources.http.asking import Answer, Ask
from loopline.resources.http.feeds import Feed
from loopline.resources.taking.page_log import Content, Page, PageLog

MANY_EMPTY = 10
"""So many pages without a new row are passed over in one look."""


class Cursor(msgspec.Struct, frozen=True):
    """The step that gave a page, and the one that it led to, "" if none: as ``Feed.next_of`` writes them."""

    asked: str
    next: str


def look(log: PageLog, feed: Feed, ask: Ask, until: float, ahead: str | None) -> str | None:
    """Take what is new, at least a page of it; stop at ``until``, or where another process takes pages as well.

    ``ahead`` is the step to go on from where that is known better than by the log: behind pages without a new row.

    Returns:
        Such a step for the next look, None where the log says it.

    Raises:
        ContractBroken: an answer is not what the feed says. Others: as ``asking``.
    """
    step, seen, empty = _begins(log) if ahead is None else ahead, set[str](), 0
    while step not in seen and empty < MANY_EMPTY:
        seen.add(step)
        answer = ask(feed.url_of(step))
        rows, cursor = _not_taken(log, step, feed.rows_in(answer)), Cursor(step, feed.next_of(answer))
        if cursor.next != step and any(_cursor(page).asked == cursor.next for page in log.pages if cursor.next):
            problem = f"the answer of {answer.url} leads back to a page that was taken"
            raise ContractBroken(problem, "mend the feed's 'next' and 'cursor', or ask the API's owner")
        if rows and (not log.add(_content(rows, feed, answer, cursor)) or time.monotonic() > until):
            return None
        empty = 0 if rows else empty + 1
        if not cursor.next:
            return None
        step = cursor.next
    return step if empty == MANY_EMPTY else None


def _begins(log: PageLog) -> str:
    """Return the step behind the last page, or to it where it led nowhere."""
    if not log.pages:
        return ""
    last = _cursor(log.pages[-1])
    return last.next or last.asked


def _cursor(page: Page) -> Cursor:
    return msgspec.json.decode(page.cursor, type=Cursor)


def _not_taken(log: PageLog, step: str, rows: Sequence[bytes]) -> list[bytes]:
    """Leave out the rows that were taken by this very step."""
    counts: Counter[bytes] = Counter()
    for page in reversed(log.pages):
        if _cursor(page).asked != step:
            break
        content = log.content(page.name)
        if content is None:
            fix = "restore it from a backup: without it rows would be taken twice"
            raise ContractBroken(f"{log.folder}/pages/{page.name} is gone", fix)
        counts.update(content.split(b"\n")[:-1])
    new = []
    for row in rows:
        counts[row] -= 1
        if counts[row] < 0:
            new.append(row)
    return new


def _content(rows: Sequence[bytes], feed: Feed, answer: Answer, cursor: Cursor) -> Content:
    now, data = datetime.now(UTC), b"\n".join(rows) + b"\n"
    at = min(feed.known_at_of(answer) or now, now)
    return Content(data, hashlib.sha256(data).hexdigest(), micros(at), msgspec.json.encode(cursor).decode())
