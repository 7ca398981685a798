"""Output tensors of a version: names, types and shapes, and their encoding as bytes.

An output of one value a row has shape [n]; one of k values a row has shape [n, k], and its data are written row after
row (Open Inference Protocol V2, "Tensor Data").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from loopline.platform_core.errors import BadRequest, ContractBroken
from loopline.platform_core.runtime.wire.protocol import AS_BYTES
from loopline.platform_core.runtime.wire.tensors import DATATYPES

if TYPE_CHECKING:
    from loopline.platform_core.targets import Output

_RAW_ONLY = "FP16"
"""gRPC has no typed contents for it."""
_ROWS = b"\0"
"""Stands for the rows of a shape: JSON never holds this byte."""


class Outputs:
    """Made once a version, from what its target says.

    ``of_one_row`` is an answer of all outputs as JSON, with places for what stands before the id, the id, what stands
    behind it, and the data of each. ``is_wide`` says that one has several values a row.

    Raises:
        ContractBroken: there are none, two have one name, or one has no type of the protocol.
    """

    def __init__(self, described: Sequence[Output]) -> None:
        self.each = tuple(described)
        self._named = {one.name: one for one in described}
        if not described or len(self._named) < len(described):
            names = ", ".join(one.name for one in described) or "none"
            raise ContractBroken(f"outputs need names of their own: {names}", "let the kind of model name each once")
        for one in described:
            if one.datatype not in DATATYPES or one.datatype == _RAW_ONLY or one.width < 1:
                known = ", ".join(name for name in DATATYPES if name != _RAW_ONLY)
                raise ContractBroken(
                    f"output {one.name!r} holds {one.width} {one.datatype} a row", f"let it hold one or more of {known}"
                )
        self.is_wide = any(one.width > 1 for one in described)
        self._form = b'%b"id":%b,%b"outputs":[' + b",".join(map(_written, described)) + b"]}"
        self.of_one_row = self._form.replace(_ROWS, b"1")

    def of_rows(self, rows: int) -> bytes:
        """Return the same of several rows."""
        return self._form.replace(_ROWS, b"%d" % rows)

    def data(self, values: Mapping[str, Sequence[Any]]) -> Iterable[Sequence[Any]]:
        """Return the data of each output, of its values by name."""
        return [flat(one, values[one.name]) for one in self.each]

    def check(self, names: Iterable[str]) -> None:
        """Refuse outputs that the version does not have.

        Raises:
            BadRequest: it has none of a name.
        """
        for name in names:
            if name not in self._named:
                raise BadRequest(f"no output {name!r}", f"ask for {', '.join(self._named)}")

    def wanted(self, asked: Mapping[str, bool]) -> Iterable[tuple[Output, bool]]:
        """Return the outputs that a request names, each with whether it goes out as bytes; all where it names none."""
        if not asked:
            return [(one, asked is AS_BYTES) for one in self.each]
        return [(self._named[name], as_bytes) for name, as_bytes in asked.items()]


def shape(one: Output, rows: int) -> list[int]:
    """Return the shape of so many rows; -1 stands for any number of them."""
    return [rows, one.width] if one.width > 1 else [rows]


def flat(one: Output, values: Sequence[Any]) -> Sequence[Any]:
    """Write the values of rows one after another."""
    return list(chain.from_iterable(values)) if one.width > 1 else values


def _written(one: Output) -> bytes:
    name, datatype = (orjson.dumps(text).replace(b"%", b"%%") for text in (one.name, one.datatype))
    wide = b",%d" % one.width if one.width > 1 else b""
    return b'{"name":%b,"shape":[%b%b],"datatype":%b,"data":%%b}' % (name, _ROWS, wide, datatype)
