"""Event source by incremental pull: base class; pulled rows are stored as pages."""

from __future__ import annotations

import abc
import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.event_source import Arrival, EventSource, as_set
from loopline.platform_core.errors import ContractBroken, LooplineError
from loopline.platform_core.foundation.clock import instant_of
from loopline.platform_core.foundation.files import lent
from loopline.resources.taking.page_files import TakenFiles
from loopline.resources.taking.page_log import PAGES, Page, PageLog
from loopline.resources.taking.page_store import Shelf, shelf_of

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake_files import PageFiles

TAKEN = ".taken"
LOOK_SECONDS = 20.0
"""For how long one look takes pages, one at least; the next goes on, for Dagster ends a sensor's look in a minute."""
_log = logging.getLogger(__name__)


class TakenEventSource(EventSource):
    """Pages below ``<landing>/.taken``, a folder or an object store's URL with its ``storage_options``.

    A vendor says of which sources rows are asked for, and asks; other sources arrive as files in ``landing``. One
    process asks each ``look_seconds`` at most. While nobody answers, what was taken before is listed all the same.
    """

    landing: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    look_seconds: float = Field(30.0, ge=0)
    _shelf: Shelf | None = PrivateAttr(default=None)
    _files: EventSource | None = PrivateAttr(default=None)
    _logs: dict[str, PageLog] = PrivateAttr(default_factory=dict)
    _looked_at: dict[str, float] = PrivateAttr(default_factory=dict)

    @abc.abstractmethod
    def is_asked(self, source: str) -> bool:
        """Say whether rows of a source are asked for; if not, it arrives as files."""

    @abc.abstractmethod
    def take(self, source: str, log: PageLog, until: float) -> None:
        """Add to a log what is new, a page at least, until a time of the monotonic clock."""

    @abc.abstractmethod
    def rows_of(self, content: bytes, name: str) -> pa.Table:
        """Give a page's content as rows, as ``read`` does."""

    def in_order(self, source: str, page: Page) -> bool:  # noqa: ARG002 - vendors whose pages are need it
        """Say whether a page's rows stand in the order of what happened, so that of a key the last one holds."""
        return False

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """Take what is new, and list the pages in the order in which they were taken."""
        if not self.is_asked(source):
            return self._landed().arrivals(source, known, limit)
        log = self._pages(source)
        log.catch_up()
        problem = self._look(source, log)
        others = {page.arrival_id for page in log.pages if page.name} - as_set(known)
        new = [page for page in log.pages if page.arrival_id in others] if others else []
        found = [Arrival(p.arrival_id, p.name, instant_of(p.at), in_order=self.in_order(source, p)) for p in new]
        if problem is not None and not found:
            raise problem
        return found[:limit]

    def settled(self, source: str) -> str:
        """Return the mark beside the files of a source that arrives as files."""
        return "" if self.is_asked(source) else self._landed().settled(source)

    def pages(self) -> PageFiles:
        """Return what was taken."""
        return TakenFiles(self._shelf_here(), TAKEN)

    def place(self, source: str) -> str:
        """Return where the pages lie, or the files."""
        if self.is_asked(source):
            return f"{self.landing.rstrip('/')}/{TAKEN}/{source}"
        return self._landed().place(source)

    def lay(self, source: str, name: str, content: bytes, at: datetime) -> None:
        """Let a file come to a source that arrives as files."""
        if self.is_asked(source):
            super().lay(source, name, content, at)
        self._landed().lay(source, name, content, at)

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read a page that is still what was taken; its lines are counted from 1.

        Raises:
            ContractBroken: it is not: nobody moves pages, so that it is lost, and told.
        """
        if not self.is_asked(source):
            return self._landed().read(source, arrival)
        content = self._pages(source).content(arrival.name)
        hashed = "" if content is None else hashlib.sha256(content).hexdigest()
        if content is None or not hashed.startswith(arrival.name.rpartition("-")[2]):
            where, retry = f"{self.place(source)}/{PAGES}/{arrival.name}", f"dead-letters retry {source} {arrival.name}"
            fix = f"restore it from a backup, then 'loopline {retry}'; if there is none, dismiss it in the same way"
            raise ContractBroken(f"{where} is gone or no longer what was taken", fix)
        return self.rows_of(content, f"page {arrival.name} of {source}")

    @contextmanager
    def landing_apart(self, name: str, **more: Any) -> Iterator[Self]:
        """Give one with a landing of its own in this one's, and more settings; what lies there goes in the end."""
        apart = self.with_settings(landing=f"{self.landing.rstrip('/')}/{name}", **more)
        if "://" not in self.landing:
            with lent(Path(apart.landing)):
                yield apart
            return
        from loopline.resources.object_store.objects import Objects

        try:
            yield apart
        finally:
            Objects(self.landing, self.storage_options).clear(name)

    def _look(self, source: str, log: PageLog) -> LooplineError | None:
        """Take what is new, unless it was asked just now; return what went wrong."""
        now = time.monotonic()
        if now - self._looked_at.get(source, float("-inf")) < self.look_seconds:
            return None
        try:
            self.take(source, log, now + LOOK_SECONDS)
        except LooplineError as error:
            _log.warning("%s: rows cannot be had: %s", source, error)
            return error
        self._looked_at[source] = now
        return None

    def _landed(self) -> EventSource:
        if self._files is None:
            self._files = _files_in(self.landing, self.storage_options)
        return self._files

    def _pages(self, source: str) -> PageLog:
        if source not in self._logs:
            self._logs[source] = PageLog(self._shelf_here(), f"{TAKEN}/{source}")
        return self._logs[source]

    def _shelf_here(self) -> Shelf:
        if self._shelf is None:
            self._shelf = shelf_of(self.landing, self.storage_options)
        return self._shelf


def _files_in(landing: str, options: dict[str, str]) -> EventSource:
    if "://" in landing:
        from loopline.resources.object_store.event_source import ObjectStoreEventSource

        return ObjectStoreEventSource(url=landing, storage_options=options)
    from loopline.resources.folder.event_source import FolderEventSource

    return FolderEventSource(root=landing)
