"""Event source on a paginated JSON API over HTTP."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PrivateAttr, SecretStr

from loopline.platform_core.contracts.base import NO_CREDENTIAL
from loopline.platform_core.errors import Unsupported
from loopline.resources.http.asking import Pause
from loopline.resources.http.feeds import Feed
from loopline.resources.http.taking import Walk, look
from loopline.resources.taking.event_source import TakenEventSource

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.resources.taking.page_log import Page, PageLog


class HttpEventSource(TakenEventSource):
    """Rows that an API gives page by page, each page with a cursor to the next.

    ``feeds`` says for ``team/source`` what is asked; other sources arrive as files in ``landing``. Rows are read once
    and kept as pages in ``<landing>/.taken``: an arrival is a page. ``token`` is sent as ``Authorization: Bearer``,
    with ``headers``; neither goes to another server than the feed's. An answer must be whole within
    ``timeout_seconds``. What ``Retry-After`` says is waited for. One process asks each ``look_seconds`` at most.
    """

    feeds: dict[str, Feed]
    token: SecretStr = SecretStr("")
    headers: Annotated[dict[str, SecretStr], NO_CREDENTIAL] = Field(default_factory=dict)
    timeout_seconds: float = Field(15.0, gt=0)
    _pause: Pause = PrivateAttr(default_factory=Pause)
    _walks: dict[str, Walk] = PrivateAttr(default_factory=dict)

    def is_asked(self, source: str) -> bool:
        """Say whether a source has a feed."""
        return source in self.feeds

    def in_order(self, source: str, page: Page) -> bool:  # noqa: ARG002 - it is so of all or of none
        """Say whether a source's pages lead on: then they tell what happened, one after the other."""
        return bool(self.feeds[source].next) or any(self._walk(source, self._pages(source)).asked())

    def take(self, source: str, log: PageLog, until: float) -> None:
        """Take the rows that are new."""
        from loopline.resources.http.asking import asking

        sent = {name: value.get_secret_value() for name, value in self.headers.items()}
        if token := self.token.get_secret_value():
            sent["Authorization"] = f"Bearer {token}"
        with asking(sent, self.timeout_seconds, self._pause) as ask:
            look(self._walk(source, log), self.feeds[source], ask, until)

    def _walk(self, source: str, log: PageLog) -> Walk:
        return self._walks.setdefault(source, Walk(log))

    def set_apart(self, name: str) -> AbstractContextManager[Self]:
        """Refuse: rows come to an API by whoever runs it.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(
            f"an API takes no rows of ours, so {name} has no place there",
            "read 'loopline arrivals' of a source: what was taken of the API itself is told there",
        )

    def rows_of(self, content: bytes, name: str) -> pa.Table:
        """Read a page, which is kept as JSON lines."""
        from loopline.resources.folder.jsonl_rows import read_rows

        return read_rows(content, name)
