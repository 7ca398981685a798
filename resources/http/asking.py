"""HTTP client of a JSON API: one GET at a time, with rate limit and error mapping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    LooplineError,
    NotFound,
    Overloaded,
    StoreUnavailable,
    one_line,
)

if TYPE_CHECKING:
    import ssl

    import httpx

MOST_BYTES = 64 << 20
"""Of one answer, unpacked."""
AGAIN_SECONDS, MOST_SECONDS = 10.0, 3600.0
"""When it is asked again if the API does not say, and at the latest if it does."""
_REFUSED, _GONE, _BUSY, _SLOW = (401, 403, 407), (404, 410), 429, (408, 425)


class Answer(NamedTuple):
    """What a URL answered: the body, and where the header ``Link`` leads ("": nowhere)."""

    url: str
    body: bytes
    link: str


Ask = Callable[[str], Answer]


@dataclass
class Pause:
    """Until when (of the monotonic clock) the API wants not to be asked, and what it said."""

    until: float = float("-inf")
    said: str = ""

    def hold(self) -> None:
        """Raise while it is so."""
        left = self.until - time.monotonic()
        if left > 0:
            raise Overloaded(f"{self.said}; it is asked again in {left:.0f} s", "ask less often: look_seconds", left)


@contextmanager
def asking(headers: Mapping[str, str], timeout_seconds: float, pause: Pause) -> Iterator[Ask]:
    """Give what asks for a URL; redirects are not followed, since the token would go along.

    Raises:
        Overloaded, StoreUnavailable: worth another try. InvalidEnvironment, NotFound, ContractBroken: not.
    """
    import httpx

    pause.hold()
    with httpx.Client(timeout=timeout_seconds, verify=_trusted()) as client:

        def ask(asked: str) -> Answer:
            try:
                client.headers.update({"Accept": "application/json", **headers})
                return _answer(client, asked, timeout_seconds, pause)
            except (httpx.LocalProtocolError, UnicodeEncodeError):  # whose words show the secret
                fix = "mend the secret: letters, digits and signs of ASCII on one line"
                raise InvalidEnvironment("the token, or a header, holds what no header can", fix) from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise InvalidEnvironment(f"{shown(asked)} is no URL: {one_line(error)}", "mend the feed") from None
            except httpx.HTTPError as error:
                problem = f"{shown(asked)} does not answer: {type(error).__name__} {one_line(error)}"
                raise StoreUnavailable(problem, "see whether the API is there; rows wait", AGAIN_SECONDS) from None

        yield ask


@cache
def _trusted() -> ssl.SSLContext:
    """Read the authorities once a process: it takes longer than many an answer."""
    import httpx

    return httpx.create_ssl_context()


def _answer(client: httpx.Client, asked: str, timeout_seconds: float, pause: Pause) -> Answer:
    end = time.monotonic() + timeout_seconds
    with client.stream("GET", asked) as got:
        if got.status_code != 200:  # noqa: PLR2004 - rows come with no other
            raise _refusal(got, asked, pause)
        body = bytearray()
        for part in got.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ContractBroken(
                    f"{shown(asked)} answers more than {MOST_BYTES >> 20} MiB", "ask for smaller pages"
                )
            if time.monotonic() > end:
                fix = "ask for smaller pages, or raise timeout_seconds"
                raise StoreUnavailable(f"{shown(asked)} took over {timeout_seconds} s to answer", fix, AGAIN_SECONDS)
        return Answer(asked, bytes(body), got.links.get("next", {}).get("url", ""))


def _refusal(got: httpx.Response, asked: str, pause: Pause) -> LooplineError:
    status, problem = got.status_code, f"{shown(asked)} answers {got.status_code} {got.reason_phrase}".strip()
    if status in _REFUSED:
        return InvalidEnvironment(problem, "give a token that is let in: token: secret://name")
    if status in _GONE:
        return NotFound(problem, "mend the feed's url; where its cursor is no longer known, name a new source for it")
    if status == _BUSY or status in _SLOW or status >= 500:  # noqa: PLR2004 - the server's own failures
        seconds = _wanted_seconds(got.headers.get("Retry-After"))
        if seconds is not None:
            pause.until, pause.said = time.monotonic() + seconds, problem
        kind = Overloaded if status == _BUSY else StoreUnavailable
        return kind(problem, "wait; rows wait as well", AGAIN_SECONDS if seconds is None else seconds)
    if status < 400:  # noqa: PLR2004 - elsewhere, or nothing
        return InvalidEnvironment(f"{problem}, and no rows", "name the URL that answers them itself")
    return InvalidEnvironment(problem, "mend the feed's url, parameters or headers")


def _wanted_seconds(said: str | None) -> float | None:
    """Read ``Retry-After``, seconds or a date (RFC 9110, 10.2.3)."""
    if said is None:
        return None
    try:
        if said.strip().isdecimal():
            return min(float(said), MOST_SECONDS)
        wanted = (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
        return min(max(wanted, 0.0), MOST_SECONDS)
    except (ValueError, TypeError):
        return None


def shown(url: str) -> str:
    """Show a URL without its query: cursors are long, and some APIs take keys there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
