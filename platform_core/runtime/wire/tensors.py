"""Tensor values: validated when they come as JSON, unpacked and packed as bytes.

Source: Open Inference Protocol V2, "Tensor Data Types"; Triton's binary tensor data extension, for the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np

from loopline.platform_core.errors import BadRequest

Value = float | int | str | bool | list[Any] | None
TEXT = "BYTES"
_NUMPY: dict[str, str] = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_OF_KIND: dict[str, set[type]] = {"B": {bool}, "I": {int}, "U": {int}, "F": {float, int}}
_TYPES: dict[str, set[type]] = {TEXT: {str, NoneType}, **{name: _OF_KIND[name[0]] | {NoneType} for name in _NUMPY}}
DATATYPES = tuple(_TYPES)
_LIMITS = {
    name: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) for name, dtype in _NUMPY.items() if "INT" in name
}
_LENGTH = struct.Struct("<I")


def from_json(name: str, datatype: str, data: list[Any]) -> list[Value]:
    """Check a JSON tensor, flat or row by row; ``null`` is a missing value (JSON knows no NaN).

    Raises:
        BadRequest: the datatype is unknown, or a value is not of it.
    """
    if data and type(data[0]) is list:
        data = _flat(name, data)
    found = set(map(type, data))
    if datatype not in _TYPES or not found <= _TYPES[datatype]:
        _types(name, datatype)
        raise BadRequest(f"tensor {name!r} holds values that are no {datatype}", f"send {datatype} values or null")
    if int in found:
        return _in_range(name, datatype, data) if datatype in _LIMITS else _floats(name, data)
    return data


def from_bytes(name: str, datatype: str, raw: memoryview) -> list[Value]:
    """Unpack a binary tensor; NaN stays NaN."""
    if str in _types(name, datatype):
        return _texts(name, raw)
    dtype = np.dtype(_NUMPY[datatype])
    if len(raw) % dtype.itemsize:
        raise BadRequest(
            f"tensor {name!r} has {len(raw)} bytes, no multiple of {dtype.itemsize}", f"send packed {datatype} values"
        )
    values: list[Value] = np.frombuffer(raw, dtype=dtype).tolist()
    return values


def from_typed(name: str, datatype: str, values: list[Any]) -> list[Value]:
    """Check a tensor whose values came typed: a protobuf field may be wider than the datatype, and text is bytes."""
    if datatype == TEXT:
        return [_text(name, value) for value in values]
    return _in_range(name, datatype, values) if datatype in _LIMITS else values


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Pack values in their order: numbers little-endian, texts each behind its length in 4 bytes."""
    if datatype == TEXT:
        return b"".join(_LENGTH.pack(len(text)) + text for text in map(str.encode, values))
    return np.asarray(values, dtype=_NUMPY[datatype]).tobytes()


def _types(name: str, datatype: str) -> set[type]:
    try:
        return _TYPES[datatype]
    except KeyError:
        raise BadRequest(f"tensor {name!r} has the unknown datatype {datatype!r}", f"use {', '.join(_TYPES)}") from None


def _flat(name: str, data: list[Any]) -> list[Any]:
    """Write rows one after another; the shape says how long they are."""
    if not all(type(row) is list for row in data) or len(set(map(len, data))) > 1:
        raise BadRequest(f"tensor {name!r} has rows of different lengths", "send as many values in each row")
    return list(chain.from_iterable(data))


def _floats(name: str, data: list[Any]) -> list[Value]:
    try:
        return [None if value is None else float(value) for value in data]
    except OverflowError as error:
        raise BadRequest(f"tensor {name!r} holds a number beyond float64", "send smaller numbers") from error


def _in_range(name: str, datatype: str, data: list[Any]) -> list[Value]:
    low, high = _LIMITS[datatype]
    for value in data:
        if value is not None and not low <= value <= high:
            raise BadRequest(f"tensor {name!r} holds numbers beyond {datatype}", "send numbers that fit the datatype")
    return data


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"tensor {name!r}: {error}", "send UTF-8 texts") from error


def _texts(name: str, raw: memoryview) -> list[Value]:
    """Unpack texts, each behind its length in 4 bytes."""
    found: list[Value] = []
    at = 0
    try:
        while at < len(raw):
            (size,) = _LENGTH.unpack_from(raw, at)
            at += _LENGTH.size + size
            if at > len(raw):
                raise BadRequest(f"tensor {name!r}: a text is cut off", "send the length (4 bytes), then the text")
            found.append(str(raw[at - size : at], "utf-8"))
    except (struct.error, UnicodeDecodeError) as error:
        raise BadRequest(f"tensor {name!r}: {error}", "send lengths of 4 bytes and UTF-8 texts") from error
    return found
