"""Vertex AI's container path, ``POST /predict``, mapped to the Open Inference Protocol.

``rawPredict`` hands on a body and its content type, and no header that its documentation names. So the model stands in
the request's own parameters, as ``{"parameters": {"model": "retail.churn", "version": "3"}, "inputs": ...}``; where one
is served alone it may be left out. Where binary tensors begin stands in the content type, as at ``/invocations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import orjson

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.invocations import Named, binary_at
from loopline.platform_core.runtime.wire.http import (
    JSON_LENGTH,
    Application,
    Message,
    Receive,
    Scope,
    Send,
    refusal,
    respond,
)

PREDICT = "/predict"
MOST_BYTES = 20 * 1024 * 1024
"""Of a body that is looked into for its model; the service takes less, and what is longer the application refuses."""
_FIX = 'name the model in the request: "parameters": {"model": "<team>.<model>"}'


class RawPredictions:
    """Stands before the application; ``models`` are those that are served, by name."""

    def __init__(self, app: Application, models: Mapping[str, object]) -> None:
        self._app, self._models = app, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead the path on, and leave all others as they are."""
        if scope.get("path") != PREDICT or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        came = await _received(receive)
        headers = dict(scope["headers"])
        size = binary_at(headers)
        body = b"".join(message.get("body", b"") for message in came)
        try:
            named = self._named(body[: int(size)] if size else body)
        except BadRequest as error:
            await respond(refusal(error), {}, send)
            return
        kept = [*scope["headers"], *([(JSON_LENGTH, size)] if size else [])]
        version = f"/versions/{quote(named.version, safe='')}" if named.version else ""
        path = f"/v2/models/{quote(named.model, safe='')}{version}/infer"
        await self._app({**scope, "path": path, "headers": kept}, _again(came, receive), send)

    def _named(self, body: bytes) -> Named:
        """Return the model and the version ("" for the split's choice) that are asked.

        Raises:
            BadRequest: no model is named, and several are served, or none.
        """
        said = _parameters(body)
        named = Named(*(str(said.get(name) or "") for name in ("model", "version")))
        if named.model or len(self._models) == 1:
            return Named(named.model or next(iter(self._models)), named.version)
        raise BadRequest(f"{len(self._models)} models are served here, and the request names none", _FIX)


def _parameters(body: bytes) -> Mapping[str, object]:
    """Read the parameters of a request that has some; one that is no JSON is refused by who reads all of it."""
    if b'"parameters"' not in body:
        return {}
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    found = said.get("parameters") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


async def _received(receive: Receive) -> list[Message]:
    """Receive a body, up to what is looked into."""
    came: list[Message] = []
    size = 0
    while size <= MOST_BYTES:
        came.append(await receive())
        size += len(came[-1].get("body", b""))
        if not came[-1].get("more_body", False):
            break
    return came


def _again(came: list[Message], receive: Receive) -> Receive:
    """Give what came once more, then what is still to come."""

    async def received() -> Message:
        return came.pop(0) if came else await receive()

    return received
