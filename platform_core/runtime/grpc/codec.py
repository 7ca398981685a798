"""Conversion of gRPC inference messages to requests, and of answers to messages.

Whoever sends ``raw_input_contents`` gets ``raw_output_contents``, whoever sends typed contents gets typed contents:
tritonclient reads the one only, kserve's client both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.answering.inference import Answer
from loopline.platform_core.runtime.wire import outputs, protocol, tensors
from loopline.platform_core.runtime.wire.protocol import AS_BYTES, AS_JSON, InferRequest, Matrix
from loopline.platform_core.runtime.wire.tensors import TEXT, Value

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    TEXT: "bytes_contents",
}


def decode(message: Any) -> InferRequest:
    """Read a ``ModelInferRequest``.

    Raises:
        BadRequest: the request breaks the protocol; the error names the tensor.
    """
    columns, wide = _columns(message)
    raw = bool(message.raw_input_contents)
    named = {output.name: raw for output in message.outputs}
    event_time, explain = (_parameter(message.parameters, name) for name in ("event_time", "explain"))
    return InferRequest(
        id=message.id or protocol.new_id(),
        rows=protocol.count_rows(columns, wide),
        columns=columns,
        texts=frozenset([tensor.name for tensor in message.inputs if tensor.datatype == TEXT]),
        outputs=named or (AS_BYTES if raw else AS_JSON),
        event_time_us=None if event_time is None else protocol.event_time_us(event_time),
        wide=wide,
        explain=False if explain is None else protocol.explains(explain),
    )


def encode(response: Any, model: str, request: InferRequest, answer: Answer) -> Any:
    """Fill a ``ModelInferResponse`` with the wanted outputs."""
    response.model_name, response.model_version, response.id = model, answer.version, request.id
    for name, said in (("version", answer.version), ("cycle", answer.cycle), ("role", answer.role)):
        response.parameters[name].string_param = said
    for one, raw in answer.form.wanted(request.outputs):
        rows = answer.outputs[one.name]
        values = outputs.flat(one, rows)
        output = response.outputs.add(name=one.name, datatype=one.datatype, shape=outputs.shape(one, len(rows)))
        if raw:
            response.raw_output_contents.append(tensors.to_bytes(one.datatype, values))
        else:
            typed = map(str.encode, values) if one.datatype == TEXT else values
            getattr(output.contents, _CONTENTS[one.datatype]).extend(typed)
    return response


def _columns(message: Any) -> tuple[dict[str, Sequence[Value]], list[Matrix]]:
    columns: dict[str, Sequence[Value]] = {}
    wide: list[Matrix] = []
    for tensor, values in zip(message.inputs, _values(message), strict=True):
        shape = list(tensor.shape)
        if shape not in ([len(values)], [len(values), 1]):
            wide.append(protocol.as_matrix(tensor.name, tensor.datatype, shape, values))
        elif tensor.name in columns:
            raise protocol.sent_twice(tensor.name)
        else:
            columns[tensor.name] = values
    return columns, wide


def _values(message: Any) -> list[list[Value]]:
    raw, inputs = message.raw_input_contents, message.inputs
    if not raw:
        return [_typed(tensor) for tensor in inputs]
    if len(raw) != len(inputs):
        raise BadRequest(
            f"{len(raw)} raw contents came for {len(inputs)} tensors", "send every tensor raw, or every one typed"
        )
    return [
        tensors.from_bytes(tensor.name, tensor.datatype, memoryview(content))
        for tensor, content in zip(inputs, raw, strict=True)
    ]


def _typed(tensor: Any) -> list[Value]:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise BadRequest(
            f"tensor {tensor.name!r} has the datatype {tensor.datatype!r}, for which there are no typed contents",
            f"send it by raw_input_contents, or as one of {', '.join(_CONTENTS)}",
        )
    return tensors.from_typed(tensor.name, tensor.datatype, list(getattr(tensor.contents, field)))


def _parameter(parameters: Mapping[str, Any], name: str) -> Any:
    if name not in parameters:
        return None
    choice = parameters[name].WhichOneof("parameter_choice")
    return getattr(parameters[name], choice) if choice else ""
