"""Mapping of errors to gRPC status codes, with the same messages as REST."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from loopline.platform_core.errors import BadRequest, LooplineError, NotFound, Transient

Call = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]
_LOG = logging.getLogger(__name__)
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
}
_MOST_TEXT_BYTES = 2_000
"""How many bytes problem and fix of an error may have each: with trailers above 8 KB gRPC may lose the code too."""


def safe(call: Call, parse: Callable[[Any], Any] = lambda _: None) -> Call:
    """Read the message and say what went wrong by gRPC's codes; gRPC itself calls an unreadable message our fault."""

    async def answer(received: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await call(parse(received), context)
        except DecodeError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no message of the protocol: {error} → send one")
        except LooplineError as error:
            await abort(context, error)
        except Exception:  # noqa: BLE001 - a mistake of ours is an answer too
            _LOG.exception("a gRPC request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "the server failed → see its log")

    return answer


async def abort(context: grpc.aio.ServicerContext, error: LooplineError) -> None:
    """End a call by an error of ours; when to ask again stands in the trailers, as in HTTP's headers."""
    if isinstance(error, BadRequest) and error.delay_seconds is not None:
        retry = ("retry-after", str(max(1, math.ceil(error.delay_seconds))))
        context.set_trailing_metadata((*context.trailing_metadata(), retry))
    await context.abort(_code(error), f"{_short(error.problem)} → {_short(error.fix)}")


def _short(text: str) -> str:
    """Cut a text to what fits, as gRPC writes it: a byte that is not printable ASCII takes three."""
    sizes = accumulate(map(_size, text[:_MOST_TEXT_BYTES]))
    fits = sum(size <= _MOST_TEXT_BYTES for size in sizes)
    return text if fits == len(text) else f"{text[:fits]} …"


def _size(letter: str) -> int:
    return 1 if " " <= letter <= "~" and letter != "%" else 3 * len(letter.encode(errors="replace"))


def _code(error: LooplineError) -> grpc.StatusCode:
    match error:
        case BadRequest() if error.status in _CODES:
            return _CODES[error.status]
        case BadRequest():
            return grpc.StatusCode.INVALID_ARGUMENT
        case NotFound():
            return grpc.StatusCode.NOT_FOUND
        case Transient():
            return grpc.StatusCode.UNAVAILABLE
        case _:
            return grpc.StatusCode.INTERNAL
