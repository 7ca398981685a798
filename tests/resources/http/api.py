"""An API of the tests' own: a real server that answers rows by pages, in the ways in which APIs do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from loopline.platform_core.testing.event_source import Delivery
from tests.emulators.http_server import Answer, Serving

TOKEN = "open-sesame"


@dataclass
class Api:
    """What it has: ``feeds`` are pages of rows by name. ``answers`` changes an answer before it is sent."""

    feeds: dict[str, list[tuple[str, list[Any]]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answers: Callable[[int, bytes, dict[str, str]], tuple[int, bytes, dict[str, str]]] = lambda *given: given
    url: str = ""

    def answer(self, path: str, token: str) -> tuple[int, bytes, dict[str, str]]:
        """Answer a page, by its number as cursor; the last one leads nowhere."""
        self.asked.append(path)
        self.tokens.append(token)
        parts = urlsplit(path)
        pages, cursor = self.feeds.get(parts.path), parse_qs(parts.query).get("cursor", ["0"])[0]
        at = int(cursor) if cursor.isdecimal() else 0
        if token != f"Bearer {TOKEN}":
            return 401, b"{}", {}
        if pages is None:
            return 404, b"{}", {}
        known_at, rows = pages[at] if at < len(pages) else ("", [])
        after = at + 1 if at + 1 < len(pages) else None
        body = {"data": rows, "paging": {"next": after}, "known_at": known_at or None}
        link = {} if after is None else {"Link": f'<{parts.path}?cursor={after}>; rel="next"'}
        return self.answers(200, json.dumps(body, indent=1).encode(), link)


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """Serve it while the block runs."""
    with Serving(lambda asked: Answer(*api.answer(asked.path, asked.headers.get("Authorization", "")))) as serving:
        api.url = serving.url
        yield api


class ApiDelivery(Delivery):
    """Adds a page to a feed; what is not finished is not in it."""

    replaces, is_ragged, is_bare = False, False, False
    lines = (1, 2, 3, 4, 5)
    unreadable: ClassVar = (b"_line\n1\n",)

    def __init__(self, api: Api) -> None:
        self.api = api

    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Put it among the pages, by time."""
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
        objects = [{name: value or None for name, value in zip(header, row, strict=True)} for row in rows]
        pages = self.api.feeds.setdefault(f"/{source}", [])
        pages.append((arrived_at.isoformat(), objects))
        pages.sort(key=lambda page: page[0])

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Keep it out of the pages."""
        self.nothing(source)

    def holds(self, source: str, name: str) -> bool:
        """Look for the feed."""
        return bool(self.api.feeds[f"/{source}"])

    def nothing(self, source: str) -> None:
        """Make an empty feed."""
        self.api.feeds[f"/{source}"] = []
