"""Feed settings: an API's URL, and where its answers hold rows, cursor and time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from loopline.platform_core.errors import ContractBroken
from loopline.resources.http import json_parts
from loopline.resources.http.asking import Answer, shown

_OWN = "<own>"
"""What stands in a step for the value of a parameter that is the feed's own; no URL holds it as it is."""
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*")


class Feed(BaseModel):
    """Rows of the JSON that ``url`` answers, page by page.

    ``rows``, ``next`` and ``known_at`` are paths in an answer, of keys and places with dots between (``data.-1.id``; a
    list's last is -1). ``rows`` is the list of rows, the answer itself if left out. ``next`` is what leads to the next
    page: a URL, or a cursor that is sent as the parameter ``cursor``; if left out the header ``Link`` says it
    (``rel="next"``). ``known_at`` is the instant at which a page's rows could be known, else when they were taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^@]+$")
    rows: str = ""
    next: str = ""
    cursor: str = "cursor"
    known_at: str = ""

    def rows_in(self, answer: Answer) -> list[bytes]:
        """Return each row as it is written, on one line."""
        found = (_at(answer.body, self.rows) or b"").strip()
        rows = [] if found == b"null" else json_parts.items(found)
        if rows is None:
            raise self._odd(answer, f"has no list of rows at {self.rows!r}")
        return [row.replace(b"\n", b" ").replace(b"\r", b" ") for row in rows]

    def next_of(self, answer: Answer) -> str:
        """Return the step to the next page, "" if there is none yet: ``=`` and a cursor, or a URL without its server.

        What a URL repeats of the feed's own parameters, such as a key, is not said in it.

        Raises:
            ContractBroken: it leads to another server.
        """
        text = self._text(answer, self.next) if self.next else answer.link
        if not text:
            return ""
        if self.next and "://" not in text:
            return f"={text}"
        url = urlsplit(urljoin(answer.url, text))
        if url[:2] != urlsplit(self.url)[:2]:
            raise self._odd(answer, f"leads to {url.netloc}, which is not told the token")
        own = urlsplit(self.url).query.split("&")
        said = [f"{part.partition('=')[0]}={_OWN}" if part in own else part for part in url.query.split("&")]
        return urlunsplit(("", "", url.path or "/", "&".join(said) if url.query else "", ""))

    def url_of(self, step: str) -> str:
        """Return the URL of a step, of the first page for ""."""
        parts = urlsplit(self.url)
        if not step.startswith("="):
            own = {f"{part.partition('=')[0]}={_OWN}": part for part in parts.query.split("&")}
            step = "".join(own.get(part, part) for part in re.split(r"([?&])", step))
            return f"{parts.scheme}://{parts.netloc}{step}" if step else self.url
        asked = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != self.cursor]
        return urlunsplit(parts._replace(query=urlencode([*asked, (self.cursor, step[1:])])))

    def known_at_of(self, answer: Answer) -> datetime | None:
        """Return the instant of a page (UTC), None if it has none."""
        text = self._text(answer, self.known_at) if self.known_at else ""
        if not text:
            return None
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise self._odd(answer, f"has no instant of ISO 8601 at {self.known_at!r}") from error
        try:
            return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
        except OverflowError:  # by its zone, before the first or behind the last instant that there is
            return datetime(1, 1, 1, tzinfo=UTC) if instant.year == 1 else None

    def _text(self, answer: Answer, path: str) -> str:
        """Return the text or number at a path, as it is written; "" where there is none, or ``null`` or ``false``."""
        found = (_at(answer.body, path) or b"").strip()
        if found in (b"", b"null", b"false"):
            return ""
        try:
            if _NUMBER.fullmatch(found):
                return found.decode()
            return msgspec.json.decode(found, type=str)
        except msgspec.MsgspecError as error:
            raise self._odd(answer, f"has neither a text nor a number at {path!r}") from error

    def _odd(self, answer: Answer, problem: str) -> ContractBroken:
        problem = f"the answer of {shown(answer.url)} {problem}"
        return ContractBroken(problem, f"mend the feed of {shown(self.url)}, or ask its owner")


def _at(body: bytes, path: str) -> bytes | None:
    """Return what stands at a path, as it is written; None where nothing does."""
    found = body
    for part in filter(None, path.split(".")):
        is_list = found.lstrip()[:1] == b"["
        held = _item(json_parts.items(found) or [], part) if is_list else (json_parts.members(found) or {}).get(part)
        if held is None:
            return None
        found = held
    return found


def _item(items: Sequence[bytes], place: str) -> bytes | None:
    try:
        return items[int(place)]
    except (ValueError, IndexError):
        return None
