"""List-valued request inputs: vectors of fixed width, and lists of any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.wire.tensors import TEXT, Value

if TYPE_CHECKING:
    from loopline.platform_core.runtime.wire.protocol import Matrix


def of(sent: Matrix, width: int, expected: str) -> list[Value]:
    """Read a tensor of shape [n, ``width``] as a vector a row; one that lacks a number is missing.

    Raises:
        BadRequest: it has another width, or holds text.
    """
    if sent.width != width or sent.datatype == TEXT:
        raise BadRequest(
            f"tensor {sent.name!r} holds {sent.width} {sent.datatype} values a row, where the vector has {width}",
            expected,
        )
    rows: Any = zip(*[iter(sent.values)] * width, strict=True)
    return [None if any(map(_is_missing, row)) else list(row) for row in rows]


def cut(sent: Matrix) -> list[Value]:
    """Read a tensor of shape [n, k] as lists without the nulls at their end; one that lacks more is missing."""
    rows: Any = zip(*[iter(sent.values)] * sent.width, strict=True)
    return [_cut(list(row)) for row in rows]


def _cut(row: list[Any]) -> Value:
    while row and _is_missing(row[-1]):
        row.pop()
    return None if not row or any(map(_is_missing, row)) else row


def single(value: Any) -> Value:
    """Read a list of one value, which came alone or as a list."""
    if isinstance(value, list):
        return value
    return None if _is_missing(value) else [value]


def check(columns: Mapping[str, Sequence[Value]], widths: Mapping[str, int], expected: str) -> None:
    """Check that the columns that shall hold vectors do.

    Raises:
        BadRequest: one holds a value, or a list of another length; the message names it.
    """
    for name in widths.keys() & columns.keys():
        width = widths[name]
        if not all(value is None or (isinstance(value, list) and len(value) == width) for value in columns[name]):
            problem = f"tensor {name!r} holds other than {width} numbers a row, where the model takes a vector"
            raise BadRequest(problem, expected)


def _is_missing(number: Any) -> bool:
    return number is None or number != number  # noqa: PLR0124 - NaN is not itself
