"""One look at a table: rows that were not taken become pages, each row in one page.

Rows are read from ``start`` on, by watermark, where every row below ``start`` was taken. Those above it that were taken
are known by the pages that hold them, and left out. What is behind a page's last row is its new ``start``, but never so
late that a row which is committed ``late_seconds`` after its instant would come below it. So it does not matter where
a page ends among rows of one watermark, nor when it is looked again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.clock import micros
from loopline.resources.tables import taken_rows, watermarks
from loopline.resources.tables.tables import Reading
from loopline.resources.tables.taken_rows import TakenRows, Texts
from loopline.resources.tables.watermarks import Cursor, Kind, Mark
from loopline.resources.taking.page_log import Content, PageLog

MOST_BYTES = 32 << 20
"""Text of one page, but for one row."""


def look(log: PageLog, reading: Reading, until: float) -> None:
    """Take what is new, at least a page of it; stop at ``until``, or where another process takes pages as well.

    Raises:
        ContractBroken: a row has no watermark; the others were taken. Others: as the session.
    """
    columns, now = reading.columns(), reading.session.now()
    last = cursor_of(log)
    window, asked = TakenRows(columns), None
    if last is not None:
        start = watermarks.read(last.kind, last.start)
        asked = watermarks.value_of(last.kind, start)
        _fill(window, log, start)
    top = None if last is None else watermarks.read(last.kind, last.top)
    answer = reading.rows(columns, asked)
    kind = watermarks.checked(answer.kinds[0], reading.table.watermark)
    for draft in _drafts(reading, window, answer.rows, kind, top):
        content = draft.content(columns, reading, now, top)
        if not log.add(content) or time.monotonic() > until:
            return
        top = draft.last if top is None else max(top, draft.last)
    if reading.has_none():
        column = reading.table.watermark
        problem = f"{reading.source}: {reading.named} has rows whose watermark {column!r} is null, so they are not read"
        fix = "fill it, or read a query: with coalesce() if they are wanted, WHERE … IS NOT NULL if they are not"
        raise ContractBroken(problem, fix)


def cursor_of(log: PageLog) -> Cursor | None:
    """Return from where a source is read on, None if nothing was taken."""
    return msgspec.json.decode(log.pages[-1].cursor, type=Cursor) if log.pages else None


def _fill(window: TakenRows, log: PageLog, start: Mark) -> None:
    """Read the pages whose rows may be seen again."""
    for page in log.pages:
        cursor = msgspec.json.decode(page.cursor, type=Cursor)
        if watermarks.read(cursor.kind, cursor.last) < start:  # type: ignore[operator]
            continue
        content = log.content(page.name)
        if content is None:
            fix = "restore it from a backup: without it rows would be taken twice"
            raise ContractBroken(f"{log.folder}/pages/{page.name} is gone", fix)
        window.add(content)


@dataclass
class _Draft:
    """Rows that become a page: late ones, or ones in order."""

    kind: Kind
    first: Mark
    last: Mark
    is_late: bool
    rows: list[Texts] = field(default_factory=list)
    size: int = 0

    def takes(self, reading: Reading, mark: Mark, *, is_late: bool) -> bool:
        """Say whether a row of a watermark may join."""
        table = reading.table
        if len(self.rows) >= table.page_rows or self.size >= MOST_BYTES or is_late != self.is_late:
            return False
        is_instant = isinstance(mark, datetime) and isinstance(self.first, datetime)
        return not is_instant or mark - self.first <= timedelta(seconds=table.page_seconds)  # type: ignore[operator]

    def add(self, mark: Mark, row: Texts) -> None:
        """Let a row join."""
        self.last = mark
        self.rows.append(row)
        self.size += sum(len(value) for value in row if value)

    def content(self, columns: Sequence[str], reading: Reading, now: datetime, top: Mark | None) -> Content:
        """Return the page: known at its last instant, or from now on where its rows are late or only numbered."""
        table, last = reading.table, self.last
        start = watermarks.start_behind(self.kind, last, now, table.late_seconds, table.late_numbers)
        highest = last if top is None else max(top, last)
        cursor = Cursor(self.kind, *map(watermarks.written, (start, last, highest)))
        at = min(last, now) if isinstance(last, datetime) and not self.is_late else now
        digest = taken_rows.digest(columns, self.rows)
        data = taken_rows.packed(columns, self.rows)
        return Content(data, digest, micros(at), msgspec.json.encode(cursor).decode())


def _drafts(
    reading: Reading, window: TakenRows, rows: Iterator[Sequence[object]], kind: Kind, top: Mark | None
) -> Iterator[_Draft]:
    """Yield pages of the rows that were not taken, as they fill; rows are late below what was taken before."""
    draft: _Draft | None = None
    for value, *values in rows:
        mark = watermarks.mark_of(value)
        row = (watermarks.written(mark), *map(taken_rows.text, values))
        if window.take(row):
            continue
        is_late = top is not None and mark < top  # type: ignore[operator]
        if draft is not None and not draft.takes(reading, mark, is_late=is_late):
            yield draft
            draft = None
        if draft is None:
            draft = _Draft(kind, mark, mark, is_late)
        draft.add(mark, row)
    if draft is not None:
        yield draft
