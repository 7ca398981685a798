"""SageMaker's container paths, ``GET /ping`` and ``POST /invocations``, mapped to the Open Inference Protocol.

``/invocations`` says no model. It is the only one that is served, or the one that a caller names in his custom
attributes, the only header of his that arrives: ``model=retail.churn`` and, if he wants one, ``version=3``. Where
binary tensors begin stands in the content type, as for Triton on SageMaker: ``...;json-header-size=123``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.wire.http import (
    JSON_LENGTH,
    MOST_DIGITS,
    Application,
    Message,
    Receive,
    Scope,
    Send,
    refusal,
    respond,
)

INVOCATIONS, PING = "/invocations", "/ping"
_READY = "/v2/health/ready"
_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
_TYPE, _PACKING = b"content-type", b"accept-encoding"
_BINARY = b"application/vnd.sagemaker-triton.binary+json;json-header-size=%b"
_SIZE = re.compile(rb"json-header-size=(\d{1,%d})" % MOST_DIGITS)


class Named(NamedTuple):
    """What custom attributes name: a model and a version, each "" if they do not."""

    model: str = ""
    version: str = ""


class Invocations:
    """Stands before the application; ``models`` are those that are served, by name."""

    def __init__(self, app: Application, models: Mapping[str, object]) -> None:
        self._app, self._models = app, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead the two paths on, and leave all others as they are."""
        path = scope.get("path")
        if path == PING:
            await self._app({**scope, "path": _READY}, receive, send)
        elif path == INVOCATIONS and scope.get("method") == "POST":
            await self._invoked(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def asked(self, attributes: bytes) -> tuple[str, str]:
        """Return the model and the version ("" for the split's choice) that are asked.

        Raises:
            BadRequest: no model is named, and several are served, or none.
        """
        named = _named(attributes)
        if named.model or len(self._models) == 1:
            return named.model or next(iter(self._models)), named.version
        raise BadRequest(
            f"{len(self._models)} models are served here, and the request names none",
            "send CustomAttributes='model=<team>.<model>'",
        )

    async def _invoked(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            model, version = self.asked(headers.get(_ATTRIBUTES, b""))
        except BadRequest as error:
            await respond(refusal(error), {}, send)
            return
        chosen = f"/versions/{version}" if version else ""
        kept = [(name, value) for name, value in scope["headers"] if name != _PACKING]  # its answer's header is dropped
        if (size := binary_at(headers)) is not None:
            kept.append((JSON_LENGTH, size))
        await self._app({**scope, "path": f"/v2/models/{model}{chosen}/infer", "headers": kept}, receive, _typed(send))


def binary_at(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return where binary tensors begin, as the content type says it; None: there are none."""
    found = _SIZE.search(headers.get(_TYPE, b""))
    return found[1] if found else None


def _typed(send: Send) -> Send:
    """Say in the content type where an answer's binary tensors begin: no other header reaches the caller."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            if (size := headers.get(JSON_LENGTH)) is not None:
                message = {**message, "headers": [*{**headers, _TYPE: _BINARY % size}.items()]}
        await send(message)

    return sent


@lru_cache(4096)
def _named(attributes: bytes) -> Named:
    """Read custom attributes; what else they say, such as a trace's id, is not ours."""
    pairs = (part.partition("=") for part in attributes.decode("latin-1").split(";"))
    said = {name.strip(): value.strip() for name, _, value in pairs}
    return Named(said.get("model", ""), said.get("version", ""))
