"""The least that a server on ASGI can do: JSON in, predict, JSON out; no checks, no log, no metrics.

``uvicorn benchmarks.serving.bare:app`` with ``BENCH_PACKAGES`` naming the folder of our packages, whose models it loads
as our server does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from benchmarks.serving.data import MODELS
from loopline.platform_core.runtime.model.models import load_model

PREDICT = {f"/{name}": load_model(Path(os.environ["BENCH_PACKAGES"], name)).predict for name in MODELS}
HEADERS = [(b"content-type", b"application/json")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer ``POST /<model>`` with ``{"data": [...], "shape": [n, k]}``."""
    if scope["type"] == "lifespan":
        return
    message = await receive()
    pieces = [message["body"]]
    while message["more_body"]:
        message = await receive()
        pieces.append(message["body"])
    asked = orjson.loads(b"".join(pieces))
    matrix = np.array(asked["data"], dtype=np.float64).reshape(asked["shape"])
    body = orjson.dumps({"outputs": [{"name": "probability", "data": PREDICT[scope["path"]](matrix).tolist()}]})
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})
