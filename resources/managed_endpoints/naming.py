"""Model name in a request's parameters, where the service's path has no place for it."""

from __future__ import annotations

import orjson

from loopline.platform_core.errors import BadRequest


def named(body: bytes, model: str) -> bytes:
    """Write the model's name into a request.

    Raises:
        BadRequest: it is no JSON object.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request is no JSON: {error}", "send a request of the Open Inference Protocol") from error
    if not isinstance(said, dict):
        raise BadRequest("the request is no JSON object", "send a request of the Open Inference Protocol")
    return orjson.dumps({**said, "parameters": {**(said.get("parameters") or {}), "model": model}})
