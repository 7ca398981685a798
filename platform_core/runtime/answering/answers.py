"""Response encoding: model outputs as a response of the Open Inference Protocol V2."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from loopline.platform_core.runtime.answering.inference import Answer
from loopline.platform_core.runtime.wire import tensors
from loopline.platform_core.runtime.wire.http import Response
from loopline.platform_core.runtime.wire.outputs import flat, shape
from loopline.platform_core.runtime.wire.protocol import AS_JSON, InferRequest


def answered(model: str, request: InferRequest, answer: Answer) -> Response:
    """Write what a model answered; to who wants every output as JSON what ``encode`` writes, with little to write."""
    if request.outputs is not AS_JSON:
        first, second = _around(model, answer.version, answer.cycle, answer.role)
        text, json_length = encode({**first, "id": request.id, **second}, request, answer)
        return Response(text, 200, json_length)
    before, after = _written(model, answer.version, answer.cycle, answer.role)
    form, values = answer.form, answer.outputs
    data = map(orjson.dumps, form.data(values) if form.is_wide else values.values())
    usual = form.of_one_row if request.rows == 1 else form.of_rows(request.rows)
    return Response(usual % (before, orjson.dumps(request.id), after, *data))


def encode(head: dict[str, Any], request: InferRequest, answer: Answer) -> tuple[bytes, int | None]:
    """Write an answer: ``head`` and the wanted outputs.

    Returns:
        The body, and the length of its JSON part when binary tensors follow (else None).
    """
    described: list[dict[str, Any]] = []
    packed: list[bytes] = []
    for one, binary in answer.form.wanted(request.outputs):
        rows = answer.outputs[one.name]
        values = flat(one, rows)
        described.append({"name": one.name, "shape": shape(one, len(rows)), "datatype": one.datatype})
        if binary:
            packed.append(tensors.to_bytes(one.datatype, values))
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
