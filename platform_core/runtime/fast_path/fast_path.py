"""Fast path of plain inference requests: collected per turn of the event loop, answered without ASGI or a task.

What a caller may ask for beside a plain inference (put off, compressed, in chunks) goes through ASGI, and
so does every model that waits for something: company, a thread, an online store behind a network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from loopline.platform_core.runtime.fast_path.turn_batch import PendingRequest, TurnBatch
from loopline.platform_core.runtime.fast_path.uvicorn_private import STATUS_LINE
from loopline.platform_core.runtime.wire.http import JSON_LENGTH, MOST_DIGITS, WORTH_COMPRESSING, Response, prepared

if TYPE_CHECKING:
    from loopline.platform_core.runtime.answering.inference import Inference
    from loopline.platform_core.runtime.wire.bounds import Bounds

FAST_PATH = "fast_path"
"""Where a worker's ``FastPath`` lies in the application's state."""
MOST_BYTES = 8 * 1024
"""Longer bodies have many rows, which are predicted in threads."""
_SPECIAL = frozenset(
    {
        b"connection",
        b"content-encoding",
        b"expect",
        b"origin",
        b"prefer",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that ask for something else than an answer to a body as it is; a request with one goes through ASGI."""
_USUAL = (b"connection", b"keep-alive")
_GUARDED = frozenset({b"host", b"content-type"})
"""Headers whose values a guard looks at."""
_MANY = 256
"""So many values of headers are remembered as usual ones."""
_LONGEST_URL = 1024
"""What was asked is remembered by its address; whoever asks for many long ones fills no memory by it."""
_LENGTH = b"content-length"
_PLAIN = Response(b"")
_OK = STATUS_LINE[_PLAIN.status] + b"content-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
"""A short answer of JSON, as ``prepared`` heads it, with more lines of the head."""

_EXPLAINS = b'"explain"'
"""Who asks why is answered in a thread; where JSON writes it otherwise, here all the same."""
_RARE = b"x"
"""One letter is found, or not, in a thirtieth of the time that the word takes; few bodies hold it."""

Headers = list[tuple[bytes, bytes]]
Plain = Callable[[bytes, bytes], bool]
"""Says of a header's name and value that a guard takes them whatever else a request has."""


class Caller(Protocol):
    """Who is answered."""

    def answered(self, answer: bytes) -> None:
        """Take the answer, head and all."""


class FastPath:
    """Collects the requests of a turn; belongs to one event loop."""

    def __init__(self, inference: Inference, batch: TurnBatch, bounds: Bounds, plain: Plain | None = None) -> None:
        self._inference, self._batch, self._bounds = inference, batch, bounds
        self._plain, self._usual = plain, {_USUAL}
        self._looked_at = _SPECIAL | _GUARDED if plain else _SPECIAL
        self._most_bytes = min(MOST_BYTES, bounds.limits.body_bytes)
        self._waiting: list[tuple[Caller, PendingRequest]] = []

    def may(self, method: bytes, url: bytes, headers: Headers) -> bool:
        """Say from a request's head whether it may be one for here."""
        if method != b"POST" or len(url) > _LONGEST_URL or asked_model(url) is None:
            return False
        length = None
        for name, value in headers:
            if name in self._looked_at and (name, value) not in self._usual and not self._is_usual(name, value):
                return False
            if name == _LENGTH:
                length = value
        return length is not None and int(length) <= self._most_bytes

    def _is_usual(self, name: bytes, value: bytes) -> bool:
        """Ask the guard about a value once."""
        usual = self._plain is not None and name in _GUARDED and self._plain(name, value)
        if usual and len(self._usual) < _MANY:
            self._usual.add((name, value))
        return usual

    def take(self, caller: Caller, url: bytes, headers: Headers, body: bytes) -> bool:
        """Answer a request when the turn is over; False if it has to be waited for."""
        asked = asked_model(url)
        one = None if asked is None or self._bounds.is_full else self.pending(asked, dict(headers), body)
        if one is None:
            return False
        if not self._waiting:
            self.begin_turn()
        self._bounds.underway += 1
        self._waiting.append((caller, one))
        return True

    def pending(self, asked: tuple[str, str], headers: dict[bytes, bytes], body: bytes) -> PendingRequest | None:
        """Return a request to a model and version that can be answered without waiting, None for another."""
        route = self._inference.at_once(asked[0], _most_rows(headers, body))
        if route is None or (_RARE in body and _EXPLAINS in body):
            return None
        return PendingRequest(*asked, route, headers, body)

    def begin_turn(self) -> None:
        """Let what waits be answered once the sockets that are ready were read."""
        asyncio.get_running_loop().call_soon(self.over)

    def over(self) -> None:
        """End the turn: answer what waits."""
        waiting, self._waiting = self._waiting, []  # what comes while these are answered is of the next turn
        self._bounds.underway -= len(waiting)
        self._batch.answer([asked for _, asked in waiting])
        for caller, asked in waiting:  # only now: every record is in the log, so that no answer outruns its own
            caller.answered(written(asked.response, asked.headers))
        self._bounds.turn.over()


@lru_cache(4096)
def asked_model(url: bytes) -> tuple[str, str] | None:
    """Return the model and the version ("" for the split's choice) that a plain path asks; None if it is none."""
    if b"%" in url or b"?" in url:
        return None
    match url.decode("latin-1").strip("/").split("/"):
        case ["v2", "models", model, "infer"]:
            return model, ""
        case ["v2", "models", model, "versions", version, "infer"]:
            return model, version
    return None


def _most_rows(headers: dict[bytes, bytes], body: bytes) -> int:
    """Return how many rows a body can have, without reading it: commas part values, and a packed one takes a byte."""
    text = headers.get(JSON_LENGTH)
    packed = len(body) - int(text) if text is not None and text.isdigit() and len(text) <= MOST_DIGITS else 0
    return body.count(b",") + 1 + max(0, packed)


def written(response: Response, headers: dict[bytes, bytes], more: bytes = b"") -> bytes:
    """Write an answer as uvicorn does, with ``more`` whole lines at the end of its head."""
    if len(response.body) < WORTH_COMPRESSING and response[1:] == _PLAIN[1:]:
        return _OK % (len(response.body), more, response.body)
    status, fields, body = prepared(response, headers)
    lines = [b"%b: %b\r\n" % field for field in fields]
    return b"".join((STATUS_LINE[status], *lines, more, b"\r\n", body))
