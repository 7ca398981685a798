"""HTTP bodies over ASGI: reads requests and writes responses, with limits and compression."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, Protocol

import orjson

from loopline.platform_core.errors import BadRequest, LooplineError, NotFound, Overloaded, Transient

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TOO_LARGE = 413
JSON_LENGTH = b"inference-header-content-length"
MOST_DIGITS = 18
METRICS_TYPE = (b"content-type", b"text/plain; version=0.0.4")
_LOG = logging.getLogger(__name__)
LONG_BODY = 64 * 1024
"""A body of so many bytes is understood in a thread, so that others need not wait."""
WORTH_COMPRESSING = 4096
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_WINDOW = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


class Application(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""


class Disconnected(Exception):  # noqa: N818 - a signal, not an error
    """The caller went away before the request was whole."""


class Response(NamedTuple):
    """What goes out; ``json_length`` is where binary tensors begin, None without them.

    ``retry_seconds`` says when another try is worth it, ``allow`` which methods a path knows.
    """

    body: bytes
    status: int = 200
    json_length: int | None = None
    content_type: tuple[bytes, bytes] = _JSON
    retry_seconds: int | None = None
    allow: bytes = b""


def as_json(value: object, status: int = 200) -> Response:
    """Write a value."""
    return Response(orjson.dumps(value), status)


def refusal(error: Exception) -> Response:
    """Write an error as the protocol wants it: ``{"error": message}``; one that is none of ours is logged."""
    if not isinstance(error, LooplineError):
        _LOG.error("a request failed", exc_info=error)
        return as_json({"error": "the server failed → see its log"}, 500)
    delay = error.delay_seconds if isinstance(error, Transient | BadRequest) else None
    retry = None if delay is None else max(1, math.ceil(delay))
    return as_json({"error": str(error)}, status_of(error))._replace(retry_seconds=retry)


def status_of(error: LooplineError) -> int:
    """Return the HTTP code of an error."""
    match error:
        case BadRequest():
            return error.status
        case NotFound():
            return 404
        case Transient():
            return 503
        case _:
            return 500


class Bodies:
    """Reads bodies whole, and unpacks them; those still coming in are counted, so that many cannot fill the memory.

    ``receiving`` counts the requests whose bodies still come in. They are not underway: otherwise a few callers who
    send byte by byte would keep everybody out.
    """

    def __init__(self, most_bytes: int, most_held: int) -> None:
        self.most_bytes, self._most_held = most_bytes, most_held
        self._held = 0
        self.receiving = 0

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read one.

        Raises:
            BadRequest: it is too long (413), or not packed as its header says. Overloaded: others fill the memory.
            Disconnected: the caller went away.
        """
        self._fits(int(headers.get(b"content-length", 0)))
        self.receiving += 1
        try:
            message = await receive()
            body = message.get("body", b"")
            if message.get("more_body"):
                body = await self._rest(body, receive)
        finally:
            self.receiving -= 1
        if message["type"] == "http.disconnect":
            raise Disconnected
        self._fits(len(body))
        coding = headers.get(b"content-encoding")
        return self._unpacked(body, coding) if coding and coding != b"identity" else body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        pieces, size = [first], len(first)
        self._held += size
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(pieces[-1])
                self._held += len(pieces[-1])
                self._fits(size)
                if self._held > self._most_held:
                    raise Overloaded("too many long requests come in at once", "try again later, or ask for fewer rows")
        finally:
            self._held -= size
        return b"".join(pieces)

    def _fits(self, size: int) -> None:
        if size > self.most_bytes:
            raise BadRequest(
                f"the request exceeds {self.most_bytes} bytes", "ask for fewer rows at once", status=TOO_LARGE
            )

    def _unpacked(self, body: bytes, coding: bytes) -> bytes:
        if coding not in _WINDOW:
            raise BadRequest(f"the content encoding {coding!r} is unknown", "use gzip, deflate or none")
        unpacker = zlib.decompressobj(_WINDOW[coding])
        try:
            whole = unpacker.decompress(body, self.most_bytes + 1)
        except zlib.error as error:
            raise BadRequest(f"the body is no {coding.decode()}: {error}", "pack it as its header says") from error
        self._fits(len(whole))
        if not unpacker.eof:
            raise BadRequest("the packed body is cut off", "send it whole")
        return whole


def length(headers: dict[bytes, bytes]) -> int | None:
    """Read how long the JSON part of a body is, None if it is all.

    Raises:
        BadRequest: the header is no length.
    """
    text = headers.get(JSON_LENGTH)
    if text is None:
        return None
    if not (text.isdigit() and len(text) <= MOST_DIGITS):
        raise BadRequest(
            f"Inference-Header-Content-Length is {text.decode('latin-1')!r}", "send the JSON part's length"
        )
    return int(text)


async def respond(response: Response, headers: dict[bytes, bytes], send: Send) -> None:
    """Send an answer."""
    status, out, body = prepared(response, headers)
    await send({"type": "http.response.start", "status": status, "headers": out})
    await send({"type": "http.response.body", "body": body})


def prepared(response: Response, headers: dict[bytes, bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return an answer's status, headers and body, packed when the caller can unpack and it is worth it."""
    body = response.body
    out = [response.content_type if response.json_length is None else _BINARY]
    if response.json_length is not None:
        out.append((JSON_LENGTH, b"%d" % response.json_length))
    coding = _accepted(headers) if len(body) >= WORTH_COMPRESSING else None
    if coding:
        body = _packed(body, coding)
        out.append((b"content-encoding", coding))
    if response.retry_seconds is not None:
        out.append((b"retry-after", b"%d" % response.retry_seconds))
    if response.allow:
        out.append((b"allow", response.allow))
    out.append((b"content-length", b"%d" % len(body)))
    return response.status, out, body


def _packed(body: bytes, coding: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[coding])
    return packer.compress(body) + packer.flush()


def _accepted(headers: dict[bytes, bytes]) -> bytes | None:
    wanted = headers.get(b"accept-encoding", b"")
    return next((coding for coding in _WINDOW if coding in wanted), None)
