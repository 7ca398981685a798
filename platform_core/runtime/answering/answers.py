"""What a model says, as an answer of the Open Inference Protocol V2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from loopline.platform_core.runtime.answering.inference import Answer
from loopline.platform_core.runtime.wire import tensors
from loopline.platform_core.runtime.wire.http import Response
from loopline.platform_core.runtime.wire.protocol import AS_JSON, OUTPUTS, InferRequest

_USUAL = (
    b'%b"id":%b,%b"outputs":['
    b'{"name":"probability","shape":[%d],"datatype":"FP64","data":%b},'
    b'{"name":"label","shape":[%d],"datatype":"INT64","data":%b}]}'
)
"""Every output as JSON: what ``encode`` writes, with little left to write."""


def answered(model: str, request: InferRequest, answer: Answer) -> Response:
    """Write what a model answered."""
    if request.outputs is not AS_JSON:
        first, second = _around(model, answer.version, answer.cycle, answer.role)
        head = {**first, "id": request.id, **second}
        text, json_length = encode(head, answer.outputs, request.outputs)
        return Response(text, 200, json_length)
    before, after = _written(model, answer.version, answer.cycle, answer.role)
    scores, labels = answer.outputs["probability"], answer.outputs["label"]
    written = orjson.dumps(request.id), after, len(scores), orjson.dumps(scores), len(labels), orjson.dumps(labels)
    return Response(_USUAL % (before, *written))


def encode(
    head: dict[str, Any], outputs: Mapping[str, Sequence[float]], wanted: Mapping[str, bool]
) -> tuple[bytes, int | None]:
    """Write an answer: ``head`` and the wanted outputs.

    Returns:
        The body, and the length of its JSON part when binary tensors follow (else None).
    """
    described: list[dict[str, Any]] = []
    packed: list[bytes] = []
    for name, binary in wanted.items():
        values, datatype = outputs[name], OUTPUTS[name]
        described.append({"name": name, "shape": [len(values)], "datatype": datatype})
        if binary:
            packed.append(tensors.to_bytes(datatype, values))
            described[-1]["parameters"] = {"binary_data_size": len(packed[-1])}
        else:
            described[-1]["data"] = values
    text = orjson.dumps({**head, "outputs": described})
    return (b"".join((text, *packed)), len(text)) if packed else (text, None)


def _around(model: str, version: str, cycle: str, role: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what stands before and behind the id."""
    first = {"model_name": model, "model_version": version}
    return first, {"parameters": {"version": version, "cycle": cycle, "role": role}}


@lru_cache(1024)
def _written(model: str, version: str, cycle: str, role: str) -> tuple[bytes, bytes]:
    """Write what stands around the id, up to where the next member begins."""
    first, second = _around(model, version, cycle, role)
    return orjson.dumps(first)[:-1] + b",", orjson.dumps(second)[1:-1] + b","
