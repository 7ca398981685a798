"""Decoding of Open Inference Protocol V2 requests, in JSON and binary tensors.

A request's tensors have shape [n] or [n, 1]: one value a row, n rows. One of shape [n, k] with k above 1 is wide: it
holds a vector a row, or all features of the model at once. JSON and Triton's binary tensors may be mixed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.request_context import given_id
from loopline.platform_core.runtime.wire import one_row, tensors
from loopline.platform_core.runtime.wire.tensors import TEXT, Value

AS_JSON: Mapping[str, bool] = MappingProxyType({})
"""Every output as JSON, which is what most ask for; always this very mapping. Which there are, the version knows."""
AS_BYTES: Mapping[str, bool] = MappingProxyType({})
"""Every output as bytes; always this very mapping."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST_US = 2**63 // 1000
"""The last instant that libraries which count nanoseconds can read: in the year 2262."""


class _Tensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Body(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


class Matrix(msgspec.Struct, frozen=True):
    """A tensor of shape [n, ``width``], row-major: a feature that is a vector, or all features of a model in one."""

    name: str
    datatype: str
    width: int
    values: Sequence[Value]


class InferRequest(msgspec.Struct, frozen=True):
    """A request as values: ``columns`` by tensor name, each ``rows`` long; ``texts`` names those of BYTES.

    ``wide`` are the tensors of more than one value a row as they came; the model's recipe knows which are vectors, and
    makes columns of them. ``matrix`` is the one that holds all features, once a recipe has found it.

    ``outputs`` says which outputs are wanted, in order, and whether each goes out as bytes; of one who names none it is
    ``AS_JSON`` or ``AS_BYTES``. ``event_time_us`` is None when the request means now. ``explain`` asks for reasons too.
    """

    id: str
    rows: int
    columns: Mapping[str, Sequence[Value]]
    texts: frozenset[str]
    outputs: Mapping[str, bool]
    event_time_us: int | None = None
    wide: Sequence[Matrix] = ()
    matrix: Matrix | None = None
    explain: bool = False


_read_body = msgspec.json.Decoder(_Body).decode


def decode(body: bytes, json_length: int | None = None, request_id: str | None = None) -> InferRequest:
    """Read a request; ``json_length`` is where the binary tensors begin (header Inference-Header-Content-Length).

    ``request_id`` is the name of one whose body has none; None lets it be made.

    Raises:
        BadRequest: the request breaks the protocol; the message names the tensor.
    """
    usual = one_row.read(body) if json_length is None else None
    if usual is not None:
        name = usual.id if usual.id is not None else request_id or new_id()
        return InferRequest(name, 1, usual.columns, usual.texts, AS_JSON)
    if json_length is not None and not 0 <= json_length <= len(body):
        raise BadRequest(f"the JSON part of {json_length} bytes exceeds the body's {len(body)}", "send its true length")
    try:
        asked = _read_body(body if json_length is None else body[:json_length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"no inference request: {error}", "send the JSON object of the V2 protocol") from error
    columns, wide = _columns(asked.inputs, memoryview(body)[len(body) if json_length is None else json_length :])
    parameters = asked.parameters or {}
    return InferRequest(
        id=asked.id if asked.id is not None else request_id or new_id(),
        rows=count_rows(columns, wide),
        columns=columns,
        texts=frozenset([tensor.name for tensor in asked.inputs if tensor.datatype == TEXT]),
        outputs=_outputs(asked.outputs, binary=parameters.get("binary_data_output") is True),
        event_time_us=event_time_us(parameters["event_time"]) if "event_time" in parameters else None,
        wide=wide,
        explain=explains(parameters["explain"]) if "explain" in parameters else False,
    )


def new_id() -> str:
    """Name a request that came without a name: by the id that came beside its body, if one did."""
    return given_id() or made_id()


def made_id() -> str:
    """Make a name that no other request has."""
    return f"{random.getrandbits(128):032x}"


def _columns(inputs: Sequence[_Tensor], binary: memoryview) -> tuple[dict[str, list[Value]], list[Matrix]]:
    columns: dict[str, list[Value]] = {}
    wide: list[Matrix] = []
    at = 0
    for tensor in inputs:
        size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
        if size is None:
            values = tensors.from_json(tensor.name, tensor.datatype, _data(tensor))
        else:
            values = tensors.from_bytes(tensor.name, tensor.datatype, _slice(tensor.name, binary, at, size))
            at += size
        if tensor.shape != [len(values)] and tensor.shape != [len(values), 1]:
            wide.append(as_matrix(tensor.name, tensor.datatype, tensor.shape, values))
            continue
        if tensor.name in columns:
            raise sent_twice(tensor.name)
        columns[tensor.name] = values
    if at != len(binary):
        raise BadRequest(
            f"{len(binary) - at} bytes belong to no tensor", "give each binary tensor its binary_data_size"
        )
    return columns, wide


def as_matrix(name: str, datatype: str, shape: Sequence[int], values: Sequence[Value]) -> Matrix:
    """Read a tensor that is no column.

    Raises:
        BadRequest: the shape is not [n, k] or does not fit the values.
    """
    if len(shape) != len(("rows", "features")) or min(shape) < 1 or shape[0] * shape[1] != len(values):
        raise BadRequest(
            f"tensor {name!r} has shape {list(shape)} and {len(values)} values",
            "use shape [n] or [n, 1] for one feature, [n, k] for a vector or for all of them",
        )
    return Matrix(name, datatype, shape[1], values)


def sent_twice(name: str) -> BadRequest:
    """Return the error of a tensor that came twice."""
    return BadRequest(f"tensor {name!r} is sent twice", "send each tensor once")


def _data(tensor: _Tensor) -> list[Any]:
    if tensor.data is None:
        raise BadRequest(f"tensor {tensor.name!r} has no data", "send 'data', or 'binary_data_size' and bytes")
    return tensor.data


def _slice(name: str, binary: memoryview, at: int, size: Any) -> memoryview:
    if type(size) is not int or not 0 <= size <= len(binary) - at:
        raise BadRequest(
            f"tensor {name!r} wants {size} bytes where {len(binary) - at} are left",
            "send the bytes after the JSON part, and its length in Inference-Header-Content-Length",
        )
    return binary[at : at + size]


def count_rows(columns: Mapping[str, Sequence[Value]], wide: Sequence[Matrix]) -> int:
    """Return how many rows a request has.

    Raises:
        BadRequest: tensors differ in it, or there is no row.
    """
    lengths = set(map(len, columns.values()))
    if wide:
        lengths |= {len(tensor.values) // tensor.width for tensor in wide}
    if len(lengths) != 1 or 0 in lengths:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in columns.items()) or "none"
        raise BadRequest(f"tensors differ in rows or have none ({sizes})", "send as many values in each, at least one")
    return lengths.pop()


def _outputs(asked: Sequence[_Output] | None, *, binary: bool) -> Mapping[str, bool]:
    if not asked:
        return AS_BYTES if binary else AS_JSON
    return {output.name: (output.parameters or {}).get("binary_data", binary) is True for output in asked}


def explains(value: Any) -> bool:
    """Read the parameter ``explain``."""
    if not isinstance(value, bool):
        raise BadRequest(f"parameter explain: {value!r} is no truth value", "send true for reasons, or leave it out")
    return value


def event_time_us(text: Any) -> int:
    """Read the parameter ``event_time``, in µs since 1970; an instant without offset is in UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        instant = _EPOCH - _MICROSECOND
    since = ((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
    if not 0 <= since < _LATEST_US:
        raise BadRequest(f"parameter event_time: {text!r} is no instant", "use ISO 8601, such as 2011-03-01T12:00:00Z")
    return since
