"""Fast decoder of the usual request body: one row, one value a tensor, no parameters.

What it reads, ``protocol`` reads to the same values; it takes half the time for twenty tensors.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[str, type] = {"FP64": float, "FP32": float, "BYTES": str, "BOOL": bool, "INT64": int}

_COMMAS = 4
"""Commas that a tensor of one value needs; bodies with many more hold more values, and trying them costs 1 µs."""


class _Tensor(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    shape: tuple[Literal[1]]
    datatype: str
    data: tuple[float | _Whole | str | bool]


class _Body(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    inputs: list[_Tensor]
    id: str | None = None


class OneRow(msgspec.Struct, frozen=True):
    """One value a tensor; ``texts`` names the tensors of BYTES, ``id`` is None where none came."""

    id: str | None
    columns: dict[str, tuple[float | int | str | bool]]
    texts: frozenset[str]


_read = msgspec.json.Decoder(_Body).decode
_NO_TEXTS: frozenset[str] = frozenset()


def read(body: bytes) -> OneRow | None:
    """Read a body; None if it is another one, or is wrong."""
    if body.count(b",") > _COMMAS * body.count(b"{"):
        return None
    try:
        asked = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    columns = {}
    has_texts = False
    for tensor in asked.inputs:
        data = tensor.data
        kind = type(data[0])
        if kind is not _TYPES.get(tensor.datatype):
            return None
        has_texts = has_texts or kind is str
        columns[tensor.name] = data
    if not columns or len(columns) != len(asked.inputs):
        return None
    texts = frozenset([n for n, (value,) in columns.items() if type(value) is str]) if has_texts else _NO_TEXTS
    return OneRow(asked.id, columns, texts)
