"""A request's body and an answer's bytes over ASGI, with limits and compression."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import orjson

from platform_core.errors import BadRequest, LooplineError, NotFound, Transient

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 16 * 1024 * 1024
_WORTH_COMPRESSING = 4096
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_WINDOW = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


class Disconnected(Exception):  # noqa: N818 - a signal, not an error
    """The caller went away before the request was whole."""


class Response(NamedTuple):
    """What goes out; ``json_length`` is where binary tensors begin, None without them."""

    body: bytes
    status: int = 200
    json_length: int | None = None
    content_type: tuple[bytes, bytes] = _JSON


def as_json(value: object, status: int = 200) -> Response:
    """Write a value."""
    return Response(orjson.dumps(value), status)


def refusal(error: LooplineError) -> Response:
    """Write an error as the protocol wants it: ``{"error": message}``."""
    return as_json({"error": str(error)}, _status(error))


def _status(error: LooplineError) -> int:
    match error:
        case BadRequest():
            return error.status
        case NotFound():
            return 404
        case Transient():
            return 503
        case _:
            return 500


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Read the body whole, and unpack it.

    Raises:
        BadRequest: it is too long (413), or not packed as its header says. Disconnected: the caller went away.
    """
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        _fits(len(body))
    if message["type"] == "http.disconnect":
        raise Disconnected
    _fits(len(body))
    coding = headers.get(b"content-encoding")
    return _unpacked(body, coding) if coding and coding != b"identity" else body


async def respond(response: Response, headers: dict[bytes, bytes], send: Send) -> None:
    """Send an answer, packed when the caller can unpack and it is worth it."""
    body = response.body
    out = [response.content_type if response.json_length is None else _BINARY]
    if response.json_length is not None:
        out.append((b"inference-header-content-length", b"%d" % response.json_length))
    coding = _accepted(headers) if len(body) >= _WORTH_COMPRESSING else None
    if coding:
        body = _packed(body, coding)
        out.append((b"content-encoding", coding))
    out.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": response.status, "headers": out})
    await send({"type": "http.response.body", "body": body})


def _fits(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise BadRequest(f"the request exceeds {MAX_BODY_BYTES} bytes", "ask for fewer rows at once", status=413)


def _unpacked(body: bytes, coding: bytes) -> bytes:
    if coding not in _WINDOW:
        raise BadRequest(f"the content encoding {coding!r} is unknown", "use gzip, deflate or none")
    unpacker = zlib.decompressobj(_WINDOW[coding])
    try:
        whole = unpacker.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is no {coding.decode()}: {error}", "pack it as its header says") from error
    _fits(len(whole))
    if not unpacker.eof:
        raise BadRequest("the packed body is cut off", "send it whole")
    return whole


def _packed(body: bytes, coding: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[coding])
    return packer.compress(body) + packer.flush()


def _accepted(headers: dict[bytes, bytes]) -> bytes | None:
    wanted = headers.get(b"accept-encoding", b"")
    return next((coding for coding in _WINDOW if coding in wanted), None)
