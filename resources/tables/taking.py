"""Incremental pull of a table: reads from the watermark, and stores new rows as pages, each row once.

Rows are read from ``start`` on, by watermark, where every row below ``start`` was taken. Those above it that were there
at the last look are known by its answer, which is kept beside the log, and left out; one that has changed since, and is
as it was before, is another row. What is behind a page's last row is its new ``start``, but never so late that a row
which is committed ``late_seconds`` after its instant would come below it, nor so high that a hundred numbers above it
could be wrong. So it does not matter where a page ends among rows of one watermark, nor when it is looked again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import micros
from loopline.resources.tables import taken_rows, watermarks
from loopline.resources.tables.clocks import Now, Present
from loopline.resources.tables.tables import Reading, Table
from loopline.resources.tables.taken_rows import TakenRows, Texts
from loopline.resources.tables.watermarks import Cursor, Greatest, Kind, Mark
from loopline.resources.taking.page_log import Content, Page, PageLog

MOST_BYTES = 32 << 20
"""Text of one page, but for one row."""
_SAME = timedelta(seconds=1)
"""By so much clocks of machines differ that are right."""


def look(log: PageLog, reading: Reading, until: float, present: Present) -> None:
    """Take what is new, at least a page of it; stop at ``until``, or where another process takes pages as well.

    Raises:
        ContractBroken: a row has no watermark; the others were taken. Others: as the session.
    """
    columns, now = reading.columns(), present.now(reading.session.now(), reading.source)
    known, top, start, asked = TakenRows(columns), None, None, None
    if log.pages:
        last = cursor_of(log.pages[-1])
        top, start = watermarks.read(last.kind, last.top), _start(log, reading, now.sure, present)
        asked = watermarks.value_of(last.kind, start)
        _fill(known, log, last, start)
    answer = reading.rows(columns, asked)
    kind = watermarks.checked(answer.kinds[0], reading.table.watermark)
    scan = _Scan(reading, columns, kind, now, known, start, top)
    for content in scan.pages(answer.rows):
        if not log.add(content) or time.monotonic() > until:
            return
    if reading.has_none():
        column = reading.table.watermark
        problem = f"{reading.source}: {reading.named} has rows whose watermark {column!r} is null, so they are not read"
        fix = "fill it, or read a query: with coalesce() if they are wanted, WHERE … IS NOT NULL if they are not"
        raise ContractBroken(problem, fix)


def cursor_of(page: Page) -> Cursor:
    """Return from where a source is read on behind a page."""
    return msgspec.json.decode(page.cursor, type=Cursor)


def _start(log: PageLog, reading: Reading, now: datetime, present: Present) -> Mark:
    """Return from where to read: behind the last page that was not read in what is the future by now."""
    cursor, is_trusted, is_last = cursor_of(log.pages[-1]), False, True
    for page in reversed(log.pages):
        cursor, is_last = cursor_of(page), page is log.pages[-1]
        is_trusted = not cursor.read_at or datetime.fromisoformat(cursor.read_at) <= now + _SAME
        if is_trusted:
            break
    start = watermarks.read(cursor.kind, cursor.start)
    if not is_trusted and isinstance(start, datetime):
        start = watermarks.start_behind(cursor.kind, start, now, reading.table.late_seconds)
    words = "%s: the clock went back behind the last look: rows are read again from %s on, and known ones are left out"
    present.tell(f"{reading.source} back", not (is_trusted and is_last), words, reading.source, start)
    return start


def _fill(known: TakenRows, log: PageLog, last: Cursor, start: Mark) -> None:
    """Count the rows that may be seen again: by the last answer, or by all pages where it does not say enough.

    It does not behind a clock that went back, without a column that it had, or where it was not kept, as once it was
    not. Then a row that is again as it was before is not seen to be another.
    """
    if start >= watermarks.read(last.kind, last.start):  # type: ignore[operator]
        answered = log.answered()
        if answered is not None and known.add_answer(answered, last.kind):
            return
    for page in log.pages:
        cursor = cursor_of(page)
        if watermarks.read(cursor.kind, cursor.last) < start:  # type: ignore[operator]
            continue
        known.add_page(log.kept(page), cursor.kind, start)


@dataclass
class _Draft:
    """Rows that become a page: late ones, or ones in order."""

    first: Mark
    last: Mark
    is_late: bool
    value: object
    in_order: bool = True
    rows: list[Texts] = field(default_factory=list)
    size: int = 0

    def takes(self, table: Table, mark: Mark, *, is_late: bool) -> bool:
        """Say whether a row of a watermark may join."""
        if len(self.rows) >= table.page_rows or self.size >= MOST_BYTES or is_late != self.is_late:
            return False
        is_instant = isinstance(mark, datetime) and isinstance(self.first, datetime)
        return not is_instant or mark - self.first <= timedelta(seconds=table.page_seconds)  # type: ignore[operator]

    def add(self, mark: Mark, row: Texts, value: object) -> None:
        """Let a row join; rows with one watermark, or one that is no number, have no order."""
        is_behind = not self.rows or (value != self.value and watermarks.is_bounded(mark))
        self.last, self.value, self.in_order = mark, value, self.in_order and is_behind
        self.rows.append(row)
        self.size += sum(len(value) for value in row if value)


@dataclass
class _Scan:
    """Rows of a look, by watermark, while they become pages; ``top`` is the greatest watermark of what was taken."""

    reading: Reading
    columns: Sequence[str]
    kind: Kind
    now: Now
    known: TakenRows
    start: Mark | None
    top: Mark | None

    def pages(self, rows: Iterator[Sequence[object]]) -> Iterator[Content]:
        """Yield pages of the rows that were not there, as they fill; rows are late below what was taken before."""
        greatest = Greatest(-math.inf if self.start is None else self.start)
        draft: _Draft | None = None
        for value, *values in rows:
            mark = watermarks.mark_of(value)
            row = (watermarks.written(mark), *map(taken_rows.text, values))
            if not self.known.knows(row):
                is_late = self.top is not None and mark < self.top  # type: ignore[operator]
                if draft is not None and not draft.takes(self.reading.table, mark, is_late=is_late):
                    yield self._content(draft, greatest.floor, mark)
                    draft = None
                if draft is None:
                    draft = _Draft(mark, mark, is_late, value)
                draft.add(mark, row, value)
            self.known.see(mark, row)
            greatest.meet(mark)
        if draft is not None:
            yield self._content(draft, greatest.floor, None)

    def _content(self, draft: _Draft, floor: Mark, reached: Mark | None) -> Content:
        """Return the page: known at its last instant, or from now on where its rows are late or only numbered."""
        table, last, at, read_at = self.reading.table, draft.last, self.now.clock, ""
        if isinstance(last, datetime):
            start: Mark = watermarks.start_behind(self.kind, last, self.now.sure, table.late_seconds)
            past, read_at = min(last, at), watermarks.written(self.now.sure)
            self.top = past if self.top is None else max(self.top, past)
            at = at if draft.is_late else past
        else:
            start = min(floor, last - table.late_numbers)
            self.top = last if self.top is None else max(self.top, last)
        start = start if self.start is None else max(self.start, start)
        begin, end, top = map(watermarks.written, (start, last, self.top))
        cursor = msgspec.json.encode(Cursor(self.kind, begin, end, top, read_at, draft.in_order)).decode()
        digest = taken_rows.digest(self.columns, draft.rows)
        data = taken_rows.packed(self.columns, draft.rows)
        return Content(data, digest, micros(at), cursor, self.known.answer(start, reached))
